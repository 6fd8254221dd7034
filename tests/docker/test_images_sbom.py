"""Each image's bill of materials: valid by CycloneDX's schema, and complete by what the image itself says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from built import CPU, Built
from engine import Engine

PYTHON = """
import re
from importlib.metadata import distributions
for found in distributions():
    print(re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower(), found.version)
"""
DPKG = "${db:Status-Abbrev} ${Package} ${Version}\n"


@pytest.fixture(params=CPU)
def bill(request: pytest.FixtureRequest, engine: Engine, image: Callable[[str], Built]) -> tuple[Built, str]:
    built = image(request.param)
    with engine.mounted(built.tag) as root:
        path = root / "usr" / "share" / "sbom" / f"stillhouse-{built.name}.cdx.json"
        return built, path.read_text(encoding="utf-8")


def parts(text: str, prefix: str) -> set[tuple[str, str]]:
    components: list[dict[str, Any]] = json.loads(text)["components"]
    return {(part["name"], part["version"]) for part in components if part["purl"].startswith(prefix)}


def test_it_is_valid(bill: tuple[Built, str]) -> None:
    schema = pytest.importorskip("cyclonedx.schema", reason="pip install -r requirements/containers.lock")
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(schema.SchemaVersion.V1_6)
    assert validator.validate_str(bill[1]) is None
    assert validator.validate_str(bill[1].replace('"bomFormat": "CycloneDX"', '"bomFormat": "other"')) is not None


def test_it_names_every_python_package(engine: Engine, bill: tuple[Built, str]) -> None:
    built, text = bill
    installed = {tuple(line.split()) for line in engine.once(built.tag, "python", "-c", PYTHON).splitlines()}
    assert parts(text, "pkg:pypi/") == installed
    assert {"onnxruntime", "numpy"} <= {name for name, _ in installed}


def test_it_names_every_package_of_the_system(engine: Engine, bill: tuple[Built, str]) -> None:
    built, text = bill
    lines = engine.once(built.tag, "dpkg-query", "-W", "-f", DPKG).splitlines()
    installed = {tuple(line.split()[1:]) for line in lines if line.startswith("ii")}
    assert parts(text, "pkg:deb/debian/") == installed
    assert {"libc6", "python3.11"} <= {name for name, _ in installed}


def test_it_says_of_what_it_is(bill: tuple[Built, str]) -> None:
    built, text = bill
    itself = json.loads(text)["metadata"]["component"]
    assert (itself["type"], itself["name"]) == ("container", f"stillhouse-{built.name}")
    assert [entry for entry in itself["properties"] if entry["name"] == "org.opencontainers.image.revision"]
    assert len(json.loads(text)["dependencies"][0]["dependsOn"]) == len(json.loads(text)["components"])
