"""What is noted of local data and weights before a run, since DVC cannot look at them itself."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import SourceError
from core.files import sha256
from core.params import ModelParams, SourceParams
from pipelines import sources

NOTES = Path("data", "sources")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def section(data: str = "sample", weights: str = "none") -> dict[str, Any]:
    source = SourceParams(source=data, sha256=None, commit=None, files=None, allow_private=False)
    return {"toy": SimpleNamespace(data=source, model=ModelParams(weights=weights, weights_sha256=None))}


def test_files_that_change_are_told_and_noted(folder: Path) -> None:
    (folder / "raw.txt").write_text("one")
    (folder / "base.pt").write_bytes(b"one")
    asked = section("raw.txt", "base.pt")
    assert len(sources.refresh(asked)) == 2
    assert sources.refresh(asked) == []
    assert json.loads((NOTES / "toy.weights.json").read_text()) == {"sha256": sha256(folder / "base.pt")}
    before = (NOTES / "toy.json").read_bytes()
    (folder / "base.pt").write_bytes(b"two")
    assert sources.refresh(asked) == ["toy: the initial weights changed since the last run"]
    assert (NOTES / "toy.json").read_bytes() == before  # what prepares the data does not run again
    (folder / "raw.txt").write_text("other")
    assert sources.refresh(asked) == ["toy: the raw data changed since the last run"]


@pytest.mark.parametrize("weights", ["none", "packaged"])
def test_nothing_is_noted_of_what_the_code_or_params_pin(weights: str) -> None:
    sources.refresh(section(weights=weights))
    assert [json.loads(path.read_text()) for path in sorted(NOTES.iterdir())] == [{}, {}]


def test_a_missing_file_stops_before_any_stage(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"toy\.model\.weights 'base.pt': there is no such file"):
        sources.refresh(section(weights="base.pt"))
