from __future__ import annotations

import os
from pathlib import Path

import pytest
from repository import Make

from core.errors import StillhouseError
from pipelines.flow import plan

DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


@pytest.fixture
def diamond(make: Make, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything is done, `b` was changed since."""
    repository = make(DIAMOND)
    assert repository.dvc("repro").returncode == 0
    repository.write({**DIAMOND, "b": {"deps": ["a"], "options": "--log other"}})
    monkeypatch.chdir(repository.path)
    return repository.path


def test_the_dag_is_dvcs_and_says_why(diamond: Path) -> None:
    found = plan.make()
    assert {name: step.parents for name, step in found.steps.items()} == {
        "a": (),
        "b": ("a",),
        "c": ("a",),
        "d": ("b", "c"),
    }
    assert found.reasons() == {"b": ("changed command",), "d": ("after b",)}
    assert found.below("a") == {"b", "c", "d"}
    (diamond / "c").unlink()
    (diamond / "work.py").write_text("# changed\n", encoding="utf-8")
    reasons = plan.make().reasons()
    assert reasons["c"] == ("dependency work.py modified", "output c deleted")
    assert reasons["a"] == ("dependency work.py modified",)


def test_targets_downstream_and_force_as_in_dvc(diamond: Path) -> None:
    assert list(plan.make(["b"]).steps) == ["a", "b"]
    assert set(plan.make(["b"], downstream=True).steps) == {"b", "d"}
    assert plan.make(["b"], force=True).reasons() == {"a": ("forced",), "b": ("forced",)}


def test_what_dvc_refuses_is_told(diamond: Path) -> None:
    with pytest.raises(StillhouseError, match="nowhere"):
        plan.make(["nowhere"])
    with pytest.raises(StillhouseError, match="TARGET"):
        plan.make(downstream=True)
    Path("dvc.yaml").write_text(
        "stages:\n  a: {cmd: x, deps: [b], outs: [a]}\n  b: {cmd: x, deps: [a], outs: [b]}", encoding="utf-8"
    )
    for _ in range(2):
        with pytest.raises(StillhouseError, match="both a dependency and an output"):
            plan.make()
    Path("dvc.yaml").write_text("stages: [", encoding="utf-8")
    with pytest.raises(StillhouseError, match=r"dvc\.yaml"):
        plan.make()


def test_params_are_named_by_key(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = make({"a": []})
    text = (repository.path / "dvc.yaml").read_text(encoding="utf-8")
    (repository.path / "dvc.yaml").write_text(text + "    params: [train.lr]\n", encoding="utf-8")
    (repository.path / "params.yaml").write_text("train: {lr: 0.1}\n", encoding="utf-8")
    assert repository.dvc("repro").returncode == 0
    (repository.path / "params.yaml").write_text("train: {lr: 0.2}\n", encoding="utf-8")
    monkeypatch.chdir(repository.path)
    assert plan.make().reasons() == {"a": ("param train.lr modified",)}


def test_the_longest_path_decides_the_order(diamond: Path) -> None:
    remaining = plan.make().remaining({"a": 1, "b": 5, "c": 2, "d": 3})
    assert remaining == {"a": 9, "b": 8, "c": 5, "d": 3}


def test_the_plan_waits_for_outputs_being_written(diamond: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = diamond / ".dvc" / "tmp" / "rwlock"
    path.write_text(f'{{"write": {{"{diamond}/b": {{"pid": {os.getpid()}, "cmd": "dvc repro"}}}}}}', encoding="utf-8")
    monkeypatch.setattr(plan, "WAIT_FOR_OTHERS_S", 0.0)
    with pytest.raises(StillhouseError, match="another DVC process"):
        plan.make()
    path.unlink()
    assert plan.make().steps
