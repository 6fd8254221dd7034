"""What a package says of its origin: the stage instances that made it, the pin of its data, and their licence."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core import params
from core.params import SourceParams
from stages.package import makers, pin

PARAMS = SimpleNamespace(prune={"slim": None}, distill={"student": None})


@pytest.mark.parametrize(
    ("variant", "precision", "between"),
    [
        ("base", "fp32", ["export@toy-base"]),
        ("base", "int8", ["export@toy-base", "quantize@toy-base-int8"]),
        ("slim", "fp32", ["prune@toy-slim", "export@toy-slim"]),
        ("student", "int8", ["distill@toy-student", "export@toy-student", "quantize@toy-student-int8"]),
    ],
)
def test_makers_lead_from_training_to_evaluation(variant: str, precision: str, between: list[str]) -> None:
    context: Any = SimpleNamespace(task="toy", params=PARAMS)
    row = {"variant": variant, "precision": precision}
    assert makers(context, row) == ["train@toy", *between, f"evaluate@toy-{variant}-{precision}"]


def source(place: str, **values: Any) -> SourceParams:
    return SourceParams(
        **{"source": place, "sha256": None, "commit": None, "files": None, "allow_private": False, **values}
    )


def test_data_is_pinned_by_what_its_source_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    noted = tmp_path / "data" / "sources" / "toy.json"
    noted.parent.mkdir(parents=True)
    noted.write_text('{"a.txt": "1"}')
    assert pin("toy", source("https://example.org/a.zip", sha256="1" * 64)) == "1" * 64
    assert pin("toy", source("https://example.org/a.git", commit="2" * 40)) == "2" * 40
    assert pin("toy", source("/data/wheat")) == hashlib.sha256(noted.read_bytes()).hexdigest()
    assert pin("toy", source("sample")) is None


@pytest.mark.parametrize("task", ["detection", "translation"])
def test_a_licence_is_that_of_the_source_and_never_guessed(task: str) -> None:
    data = params.load()[1][task].data
    assert data.source == "sample" and data.license is None
    known = data.known_license
    assert known and ("CC BY" in known or "Unicode-3.0" in known)
    other = data.model_copy(update={"source": "/data/wheat"})
    assert other.known_license is None
    assert other.model_copy(update={"license": "MIT"}).known_license == "MIT"
