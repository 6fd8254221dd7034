"""Presets change what they name, keep comments, and never leave a broken params.yaml."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core import params
from core.errors import ParamsError
from pipelines import preset

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "presets").glob("*.yaml")))
def test_every_shipped_preset_is_valid(name: str, folder: Path) -> None:
    tasks = preset.apply(name)
    head, _ = params.load()
    assert head.tasks == tasks


def test_words_that_yaml_may_take_for_truth_values_stay_words(folder: Path) -> None:
    """They were written without the quotes that they had in the preset."""
    (folder / "presets" / "mine.yaml").write_text('speech: {data: {words: {"0": "no", "1": "On", "2": "ja"}}}\n')
    preset.apply("mine")
    assert params.load()[1]["speech"].data.words == {"0": "no", "1": "On", "2": "ja"}  # type: ignore[attr-defined]


def test_comments_and_other_values_stay(folder: Path) -> None:
    (folder / "presets" / "mine.yaml").write_text("detection: {train: {epochs: 99}}\n")
    before = (folder / "params.yaml").read_text()
    preset.apply("mine")
    after = (folder / "params.yaml").read_text()
    assert "# Every knob of the pipeline." in after
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    assert changed == ["    epochs: 99                        # how often all of train is seen"]


def test_a_local_copy_replaces_the_source(folder: Path) -> None:
    preset.apply("bccd", data=str(folder))
    _, tasks = params.load()
    assert tasks["detection"].data.kind == "path"
    assert tasks["detection"].data.commit is None


def test_an_unknown_preset_lists_the_valid_ones(folder: Path) -> None:
    with pytest.raises(ParamsError, match="did you mean 'bccd'"):
        preset.apply("bcd")


def test_a_broken_preset_changes_nothing(folder: Path) -> None:
    (folder / "presets" / "mine.yaml").write_text("detection: {train: {epoch: 99}}\n")
    before = (folder / "params.yaml").read_bytes()
    with pytest.raises(ParamsError, match=r"detection\.train\.epoch: unknown key; did you mean 'epochs'"):
        preset.apply("mine")
    assert (folder / "params.yaml").read_bytes() == before


def test_what_has_another_name_is_replaced_whole() -> None:
    values = {"backbone": {"name": "mlp", "widths": [300]}, "train": {"lr": 0.1, "epochs": 1}}
    preset.merge(values, {"backbone": {"name": "cnn"}, "train": {"lr": 0.2}})
    assert values == {"backbone": {"name": "cnn"}, "train": {"lr": 0.2, "epochs": 1}}
    preset.merge(values, {"backbone": {"kernel": 5}})
    assert values["backbone"] == {"name": "cnn", "kernel": 5}


def test_an_optimiser_of_another_name_keeps_the_other_knobs() -> None:
    values = {"train": {"optimizer": {"name": "adamw", "momentum": 0.9, "eps": 1e-8}}}
    preset.merge(values, {"train": {"optimizer": {"name": "sgd"}}})
    assert values == {"train": {"optimizer": {"name": "sgd", "momentum": 0.9, "eps": 1e-8}}}
