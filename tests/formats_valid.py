"""Documents held against the tools of their formats: a function raises what its tool raises, or an AssertionError."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ops.passport import formats


def cyclonedx(text: str) -> dict[str, Any]:
    """By CycloneDX's schema, and each reference by what it refers to, which no schema can say."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert error is None, error
    bill: dict[str, Any] = json.loads(text)
    model = bill["metadata"]["component"]
    named = [part["bom-ref"] for part in (model, *model["components"], *bill["components"])]
    assert len(set(named)) == len(named)
    used = [entry["ref"] for entry in model["modelCard"]["modelParameters"]["datasets"]]
    used += [ref for entry in bill["dependencies"] for ref in (entry["ref"], *entry["dependsOn"])]
    assert set(used) <= set(named)
    return bill


def croissant(path: Path) -> Any:
    """By mlcroissant. Returns: its data set, which gives the records."""
    import mlcroissant

    found = mlcroissant.Dataset(jsonld=str(path))
    assert not found.metadata.ctx.issues.errors
    return found


def provenance(text: str) -> dict[str, Any]:
    """By in-toto's own messages, which know no other fields, and their rules."""
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement

    content: dict[str, Any] = json.loads(text)
    Statement.copy_from_pb(json_format.ParseDict(content, statement_pb2.Statement())).validate()
    assert content["predicateType"] == "https://slsa.dev/provenance/v1"
    predicate = json_format.ParseDict(content["predicate"], provenance_pb2.Provenance())
    assert predicate.build_definition.build_type and predicate.run_details.builder.id
    for described in predicate.build_definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(described).validate()
        assert described.digest
    return content


def card(text: str) -> Any:
    """By huggingface_hub. Returns: the front matter with its results."""
    from huggingface_hub import ModelCard

    found = ModelCard(text).data
    assert found.eval_results and found.license and found.library_name == "onnx"
    return found


def package(folder: Path, target: Path, data: Path | None = None) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """All that `export` writes of a package, found valid."""
    formats.export(folder, target, data)
    bom, described, statement = (target / name for name in formats.NAMES)
    return cyclonedx(bom.read_text("utf-8")), croissant(described), provenance(statement.read_text("utf-8"))


def digests(folder: Path, bill: dict[str, Any], described: dict[str, Any], statement: dict[str, Any]) -> None:
    """Every digest of the passport stands in the documents, under the name of the algorithm that made it.

    described: `croissant.json` as plain values.
    """
    from core.files import sha256
    from ops import passport

    content = passport.read(folder)
    links = {link["name"]: link["value"] for link in content["links"]}
    files = content["files"] | {passport.NAME: sha256(folder / passport.NAME)}
    md5 = links["data"]["prepared"].removesuffix(".dir")
    assert {entry["name"]: entry["digest"]["sha256"] for entry in statement["subject"]} == files
    model = bill["metadata"]["component"]
    assert {part["name"]: part["hashes"] for part in model["components"]} == {
        name: [{"alg": "SHA-256", "content": digest}] for name, digest in files.items()
    }
    parts = {part["bom-ref"]: part.get("hashes") for part in bill["components"]}
    assert parts["data"] == [{"alg": "MD5", "content": md5}]
    (listing,) = (entry for entry in described["distribution"] if entry["@id"] == "listing")
    assert listing["md5"] == md5 and "sha256" not in listing
    made_of = {entry["name"]: entry["digest"] for entry in _dependencies(statement)}
    assert made_of["data set"] == {"md5": md5}
    assert made_of["code"] == {"gitCommit": links["code"].partition("-")[0]}
    for name, digest in links.get("checkpoint", {}).items():
        assert made_of[f"checkpoint/{name}"] == {"sha256": digest}
    for name, digest in links["environment"].items():
        assert made_of[name] == {"sha256": digest}
        assert parts[f"environment/{name}"] == [{"alg": "SHA-256", "content": digest}]
    if "sha256" in links.get("weights", {}):
        assert made_of["initial weights"] == {"sha256": links["weights"]["sha256"]}


def _dependencies(statement: dict[str, Any]) -> list[dict[str, Any]]:
    predicate = statement["predicate"]
    of_builder = predicate["runDetails"]["builder"]["builderDependencies"]
    return [*predicate["buildDefinition"]["resolvedDependencies"], *of_builder]
