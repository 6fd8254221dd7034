"""CycloneDX 1.6: the model with its card, its data, initial weights and environment.

The format: https://cyclonedx.org/docs/1.6/json/, the version of the images' own (`docker/sbom.py`). The same package
gives the same document: its serial number is derived from it, and no time is written.
"""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core.files import sha256
from ops import image
from ops.passport.formats.package import Package, address

PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[a-z0-9,-]+\])?==([^\s;\\]+)", re.MULTILINE)
"""Of a distribution, in a lock file."""


def document(package: Package) -> dict[str, Any]:
    """See the module."""
    model = _model(package)
    parts = [*_data(package), *_weights(package), *_code(package), *_environment(package)]
    libraries = _libraries(package)
    body: dict[str, Any] = {
        "metadata": {"component": model},
        "components": [*parts, *libraries],
        "dependencies": [{"ref": model["bom-ref"], "dependsOn": [part["bom-ref"] for part in (*parts, *libraries)]}],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", "version": 1}
    return {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", **head, **body}


def _model(package: Package) -> dict[str, Any]:
    """The package: its files are parts of it."""
    parameters = {
        "approach": {"type": "supervised"},
        "task": package.tag or package.task,
        "datasets": [{"ref": "data"}] if package.md5 else [],
        "inputs": [{"format": text} for text in _tensors(package.model.get("inputs", {}))],
        "outputs": [{"format": text} for text in _tensors(package.model.get("outputs", {}))],
    }
    limits = [f"{name.replace('_', ' ')}: {value}" for name, value in package.model.get("limits", {}).items()]
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": package.task,
        "version": package.version,
        "components": [_file(name, digest, f"package/{name}") for name, digest in package.files.items()],
        "modelCard": {
            "modelParameters": parameters,
            "quantitativeAnalysis": {"performanceMetrics": _metrics(package.links.get("evaluation", {}))},
            "considerations": {"technicalLimitations": limits},
            "properties": _properties(signature=package.links.get("evaluation", {}).get("signature")),
        },
    }


def _tensors(described: dict[str, Any]) -> list[str]:
    """`images: float32[batch, 3, height, width]`, of one graph, or of several by name."""
    found = []
    for name, entry in described.items():
        if "dtype" in entry:
            found.append(f"{name}: {entry['dtype']}[{', '.join(map(str, entry.get('shape', [])))}]")
        else:
            found += [f"{name}.{inner}" for inner in _tensors(entry)]
    return found


def _metrics(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """The interval is that of the main metric, which is the one on validation data."""
    splits = {name: dict(evaluation.get(name, {})) for name in ("val", "test")}
    main = next((name for name in splits["val"] if name != "interval"), None)
    found = []
    for split, values in splits.items():
        interval = values.pop("interval", None)
        for name, value in values.items():
            metric: dict[str, Any] = {"type": name, "value": str(value), "slice": split}
            if interval and name == main:
                low, high = map(str, interval)
                metric["confidenceInterval"] = {"lowerBound": low, "upperBound": high}
            found.append(metric)
    return found


def _data(package: Package) -> list[dict[str, Any]]:
    """The data set, by DVC's md5, and where its raw data came from."""
    if not package.md5:
        return []
    data = package.links["data"]
    source, pin = address(data.get("source")), data.get("pin")
    pinned = [_hash("SHA-256", pin)] if re.fullmatch(r"[0-9a-f]{64}", pin or "") else []
    origin = {"type": "vcs" if pin and not pinned else "distribution", "url": source, "hashes": pinned}
    return [
        {
            "type": "data",
            "bom-ref": "data",
            "name": f"{package.task} data set",
            "version": data["prepared"],
            "hashes": [_hash("MD5", package.md5)],
            **_licences(data.get("license")),
            **({"externalReferences": [origin]} if source else {}),
            "data": [{"type": "dataset", "name": f"{package.task} data set"}],
            "properties": _properties(source=data.get("source"), pin=pin),
        }
    ]


def _weights(package: Package) -> list[dict[str, Any]]:
    """What training started from, where that was a file; and the checkpoint that the graphs were made of."""
    found, weights = [], package.links.get("weights", {})
    if "sha256" in weights:
        source = address(weights["source"])
        found.append(
            {
                "type": "machine-learning-model",
                "bom-ref": "weights",
                "name": "initial weights",
                "hashes": [_hash("SHA-256", weights["sha256"])],
                **_licences(weights.get("license")),
                **({"externalReferences": [{"type": "distribution", "url": source}]} if source else {}),
                "properties": _properties(source=weights["source"]),
            }
        )
    checkpoint = package.links.get("checkpoint", {})
    return found + [_file(name, digest, f"checkpoint/{name}") for name, digest in checkpoint.items()]


def _code(package: Package) -> list[dict[str, Any]]:
    if not package.commit:
        return []
    known = {"version": package.links["code"], "properties": _properties(commit=package.commit)}
    return [{"type": "application", "bom-ref": "code", "name": "pipeline", **known}]


def _environment(package: Package) -> list[dict[str, Any]]:
    """Lock files, and the image where there was one, with its bill of materials."""
    found = []
    for name, digest in package.links.get("environment", {}).items():
        entry = _file(name, digest, f"environment/{name}")
        if name.startswith(image.PREFIX):
            entry |= {"type": "container", "name": name.removeprefix(image.PREFIX), "version": f"sha256:{digest}"}
        found.append(entry)
    return found


def _libraries(package: Package) -> list[dict[str, Any]]:
    """What the lock files of the environment pin; nothing where one of them is not here, since half is no list."""
    found = {}
    for name in [] if others(package) else package.locks:
        for library, version in PIN.findall(Path(name).read_text(encoding="utf-8")):
            purl = f"pkg:pypi/{library}@{quote(version)}"
            found[purl] = {"type": "library", "bom-ref": purl, "name": library, "version": version, "purl": purl}
    return [found[purl] for purl in sorted(found)]


def others(package: Package) -> list[str]:
    """Lock files of the environment that do not lie here as they were."""
    return [name for name, digest in package.locks.items() if not Path(name).is_file() or sha256(Path(name)) != digest]


def _file(name: str, digest: str, ref: str) -> dict[str, Any]:
    return {"type": "file", "bom-ref": ref, "name": name, "hashes": [_hash("SHA-256", digest)]}


def _hash(algorithm: str, digest: str) -> dict[str, str]:
    return {"alg": algorithm, "content": digest}


def _licences(stated: str | None) -> dict[str, Any]:
    """As its owner or params state it, in words."""
    return {"licenses": [{"license": {"name": stated}}]} if stated else {}


def _properties(**values: Any) -> list[dict[str, str]]:
    return [{"name": f"stillhouse:{key}", "value": str(value)} for key, value in values.items() if value]
