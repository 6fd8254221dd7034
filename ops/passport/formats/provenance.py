"""An in-toto Statement v1 with SLSA provenance v1 of every file of a package.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://slsa.dev/spec/v1.1/provenance. Nothing is
signed, and the builder names no trusted platform: it is to be read and compared, and attests no level.
"""

from __future__ import annotations

from typing import Any

from ops import image
from ops.passport.formats.package import LOCAL, Package, address

BUILD = "urn:stillhouse:pipeline:v1"
"""What `buildType` means stands in docs/formats.md."""
BUILDER = "urn:stillhouse:builder:unattested"
"""Whoever ran the pipeline: nobody vouches for it."""
HEAD = ("seed", "learning_threads")
"""Of the top of `params.yaml`; passports of older packages lack the latter."""
COMMIT = 40
"""Hexadecimal digits of a commit; sha256 has 64."""


def document(package: Package) -> dict[str, Any]:
    """See the module."""
    links = package.links
    params = links.get("params", {})
    runs = dict(links.get("runs", {}))
    last = runs.get(f"package@{package.task}")
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in package.files.items()],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {
                    "task": package.task,
                    **{key: params[key] for key in HEAD if key in params},
                    "params": package.params,
                },
                "internalParameters": {"runs": runs},
                "resolvedDependencies": _dependencies(package),
            },
            "runDetails": {
                "builder": {"id": BUILDER, "builderDependencies": _images(links.get("environment", {}))},
                "metadata": {"invocationId": last} if last else {},
                "byproducts": _files("validation/", links.get("validation", {})),
            },
        },
    }


def _dependencies(package: Package) -> list[dict[str, Any]]:
    """Raw data, the data set that was made of it, initial weights, code, params, checkpoint and lock files."""
    links = package.links
    params = {key: value for key, value in links.get("params", {}).items() if key == "params.yaml"}
    found = [*_source(links.get("data", {}))]
    if package.md5:
        listed = {"dvc": links["data"]["prepared"]}
        found.append({"name": "data set", "digest": {"md5": package.md5}, "annotations": listed})
    weights = links.get("weights", {})
    if "sha256" in weights:
        found.append(_described("initial weights", weights["source"], {"sha256": weights["sha256"]}))
    if package.commit:
        changed = {"annotations": {"uncommitted changes": True}} if package.dirty else {}
        found.append({"name": "code", "digest": {"gitCommit": package.commit}, **changed})
    checkpoint = _files("checkpoint/", links.get("checkpoint", {}))
    return [*found, *_files("", params), *checkpoint, *_files("", package.locks)]


def _source(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Raw data by its pin: an archive's sha256, a commit, or sha256 of the note of a local source's files."""
    pin, source = str(data.get("pin") or ""), data.get("source")
    if not pin:
        return []
    if len(pin) == COMMIT:
        return [_described("raw data", source, {"gitCommit": pin})]
    name = "raw data" if address(source) else "digests of the raw data's files"
    return [_described(name, source, {"sha256": pin})]


def _described(name: str, source: Any, digest: dict[str, str]) -> dict[str, Any]:
    uri = address(source)
    said = {"annotations": {"source": source}} if source and source != LOCAL and not uri else {}
    return {"name": name, "digest": digest, **({"uri": uri} if uri else said)}


def _images(environment: dict[str, str]) -> list[dict[str, Any]]:
    """The image in which the pipeline ran, and its bill of materials where it is one of docker/build.py's."""
    kinds = (name for name in environment if name.endswith(".cdx.json") or name.startswith(image.PREFIX))
    return _files("", {name: environment[name] for name in kinds})


def _files(prefix: str, digests: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": f"{prefix}{name}", "digest": {"sha256": digest}} for name, digest in digests.items()]
