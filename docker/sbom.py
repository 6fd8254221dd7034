"""Writes what an image holds as a CycloneDX 1.6 bill of materials: Python's packages and the base's (dpkg).

    python docker/sbom.py --name stillhouse-serve --version 0.1.0 --commit SHA /usr/share/sbom/stillhouse-serve.cdx.json

Runs inside the image, so it says what is there, not what was asked for. Standard library only. The same content gives
the same file: the serial number is derived from it, and no time is written.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import uuid
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

SPDX = re.compile(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*")
"""Expressions without parentheses; what is none stays a name."""
DPKG = "${db:Status-Abbrev}\t${binary:Package}\t${Version}\t${Architecture}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="CycloneDX bill of materials of this image.")
    parser.add_argument("target", type=Path)
    for option in ("--name", "--version", "--commit"):
        parser.add_argument(option, required=True)
    given = parser.parse_args()
    components = sorted([interpreter(), *python_packages(), *system_packages()], key=lambda part: str(part["bom-ref"]))
    given.target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document(given.name, given.version, given.commit, components), indent=1, ensure_ascii=False)
    given.target.write_text(text + "\n", encoding="utf-8")
    print(f"{given.target}: {len(components)} components")


def document(name: str, version: str, commit: str, components: list[dict[str, Any]]) -> dict[str, Any]:
    ref = f"{name}@{version}"
    itself = {
        "type": "container",
        "bom-ref": ref,
        "name": name,
        "version": version,
        "licenses": [{"license": {"id": "MIT"}}],
        "properties": [{"name": "org.opencontainers.image.revision", "value": commit}],
    }
    body: dict[str, Any] = {
        "metadata": {"component": itself},
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": [part["bom-ref"] for part in components]}],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", "version": 1}
    return {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", **head, **body}


def interpreter() -> dict[str, Any]:
    version = platform.python_version()
    return _component("platform", "CPython", version, f"pkg:generic/cpython@{version}")


def python_packages() -> list[dict[str, Any]]:
    """Each distribution on this interpreter's path, once."""
    found: dict[str, dict[str, Any]] = {}
    for distribution in distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        purl = f"pkg:pypi/{name}@{quote(distribution.version)}"
        found.setdefault(purl, _component("library", name, distribution.version, purl) | _licence(distribution))
    return list(found.values())


def _licence(distribution: Distribution) -> dict[str, Any]:
    """As the package declares it: an SPDX expression, or else its classifiers; free text of pages is left out."""
    said = distribution.metadata.json
    expression = str(said.get("license_expression", ""))
    if SPDX.fullmatch(expression):
        return {"licenses": [{"expression": expression}]}
    names = [line.split(" :: ")[-1] for line in said.get("classifier", []) if line.startswith("License :: ")]
    declared = expression or str(said.get("license", "")).strip()
    if not names and declared and len(declared) <= 80 and "\n" not in declared:
        names = [declared]
    return {"licenses": [{"license": {"name": name}} for name in dict.fromkeys(names)]} if names else {}


def system_packages() -> list[dict[str, Any]]:
    """What dpkg has installed. Raises: CalledProcessError when the base has no dpkg."""
    release = platform.freedesktop_os_release()
    system, distro = release["ID"], f"{release['ID']}-{release.get('VERSION_ID', 'unknown')}"
    done = subprocess.run(["dpkg-query", "-W", "-f", DPKG], capture_output=True, text=True, check=True)
    found = []
    for line in done.stdout.splitlines():
        status, name, version, architecture = line.split("\t")
        if status.startswith("ii"):
            plain = name.partition(":")[0]
            purl = f"pkg:deb/{system}/{quote(plain)}@{quote(version, safe='')}?arch={architecture}&distro={distro}"
            found.append(_component("library", plain, version, purl))
    return found


def _component(kind: str, name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    main()
