"""A checkpoint survives a round trip; a missing, cut or poisoned one is named."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from core import checkpoint
from core.checkpoint import Checkpoint
from core.errors import ModelError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    weight = torch.arange(6.0).reshape(2, 3)
    weights = {"a.weight": weight, "tied": weight, "view": weight.t(), "half": weight.to(torch.bfloat16)}
    checkpoint.save(tmp_path, Checkpoint({"width": 3}, weights, {"classes.json": b'["cat"]'}))
    return tmp_path


def test_a_round_trip(saved: Path) -> None:
    found = checkpoint.load(saved)
    assert found.arch == {"width": 3}
    assert found.assets == {"classes.json": b'["cat"]'}
    assert torch.equal(found.weights["view"], found.weights["tied"].t())
    assert found.weights["half"].dtype == torch.bfloat16


def test_the_same_weights_make_the_same_bytes(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    checkpoint.save(other, checkpoint.load(saved))
    assert (other / "weights.safetensors").read_bytes() == (saved / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["architecture.json", "weights.safetensors", "assets/classes.json"])
def test_a_missing_part_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    if name.startswith("assets/"):
        (saved / "assets").rmdir()
        name = "assets"
    with pytest.raises(ModelError, match=f"{name} is missing"):
        checkpoint.load(saved)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_cut_checkpoint_is_refused(saved: Path, share: float) -> None:
    """docs/faults.md 70, of the output (the resume files have their own test)."""
    path = saved / "weights.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match="damaged"):
        checkpoint.load(saved)


def test_a_pickle_is_not_opened(saved: Path) -> None:
    """docs/faults.md 71."""

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path(saved / "ran").write_text, ("x",))

    (saved / "weights.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match="damaged"):
        checkpoint.load(saved)
    assert not (saved / "ran").exists()


def test_an_architecture_that_is_no_mapping_is_refused(saved: Path) -> None:
    (saved / "architecture.json").write_text(json.dumps(["x"]))
    with pytest.raises(ModelError, match="damaged"):
        checkpoint.load(saved)
