"""`train.compile`: names of weights, average and resume are those of the network itself; a missing compiler is told."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
import toy

from core.errors import TrainingError
from training import compiled, module


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def anew(**changes: Any) -> Any:
    shutil.rmtree(".stillhouse", ignore_errors=True)
    torch.manual_seed(5)
    return toy.fit(model=toy.build(), **changes)


@pytest.mark.slow
def test_weights_average_and_checkpoints_are_those_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the code that inductor writes: dynamo traces, and the same kernels run."""
    monkeypatch.setattr(compiled, "check", lambda device: None)
    traced: list[bool] = []

    def compile_(model: Any, dynamic: bool) -> Any:
        traced.append(dynamic)
        return torch.compile(model, dynamic=dynamic, backend="eager")

    monkeypatch.setattr(module.compiled, "compiled", compile_)
    plain, own = anew(), anew(compile=True)
    assert traced == [True]
    assert list(plain.weights) == list(own.weights)
    assert all(torch.equal(value, own.weights[name]) for name, value in plain.weights.items())
    (checkpoint, *_) = sorted(Path(".stillhouse/resume/train@toy").glob("*/*.ckpt"))
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert {name.split(".")[0] for name in state} == {"model", "average"} and not any("_orig_mod" in n for n in state)


@pytest.mark.slow
def test_it_learns_compiled_by_inductor() -> None:
    fitted = anew(compile=True, epochs=12, ema_decay=0.0)
    assert fitted.result["best"] > 0.5 and "0.weight" in fitted.weights


@pytest.mark.slow
def test_a_missing_compiler_is_told_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("/nowhere/g++",))
    with pytest.raises(TrainingError, match=r"`compile: true` needs a C\+\+ compiler.*or set `compile: false`"):
        anew(compile=True)


def test_a_sharded_network_is_not_compiled() -> None:
    with pytest.raises(ValueError, match="set it to false"):
        toy.train(compile=True, strategy="fsdp", clip_norm=None)
