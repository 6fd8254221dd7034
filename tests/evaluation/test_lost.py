"""What was lost and won against the reference, by part and by input, and what a reader sees of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import paths, task
from core.files import write_json, write_jsonl
from evaluation import flipped, lost

RIGHT = np.array([1.0, 0.0, 1.0, 1.0, 0.0])


def weighted(weights: np.ndarray) -> dict[str, float]:
    return {"accuracy": float(weights @ RIGHT / weights.sum()), "other": 0.0}


def test_each_input_alone() -> None:
    assert lost.each(weighted, 5, "accuracy", seed=1) == {"positions": [0, 1, 2, 3, 4], "values": RIGHT.tolist()}


def test_of_many_inputs_the_same_choice_for_every_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost, "MOST", 3)
    found = lost.each(weighted, 5, "accuracy", seed=1)
    assert len(found["positions"]) == 3 == len(set(found["positions"]))
    assert found["positions"] == sorted(found["positions"])
    assert found["values"] == [RIGHT[i] for i in found["positions"]]
    assert lost.each(lambda weights: {"accuracy": 0.5}, 5, "accuracy", seed=1)["positions"] == found["positions"]


def test_the_greatest_differences_come_first() -> None:
    one, other = ({"positions": [0, 3, 4, 7, 9], "values": values} for values in ([5, 1, 2, 3, 4], [1, 1, 9, 2, 4.5]))
    assert lost.flips(one, other, "higher") == ([0, 7], [4, 9], 5)
    assert lost.flips(one, other, "lower") == ([4, 9], [0, 7], 5)
    with pytest.raises(ValueError, match="same inputs"):
        lost.flips(one, {"positions": [0], "values": [1]}, "higher")


def rows(**values: float) -> list[dict[str, Any]]:
    return [{"kind": name[0], "name": name, "count": 2, "value": value} for name, value in values.items()]


def test_parts_of_each_kind_with_the_worst_first() -> None:
    reference, shown = rows(a1=5, b1=6, a2=7, a3=1), rows(a1=5, b1=4, a2=9, a3=0)
    found = lost.parts(reference, shown, "higher")
    assert [(row["name"], row["gain"]) for row in found] == [("a3", -1), ("a1", 0), ("a2", 2), ("b1", -2)]
    assert [row["name"] for row in lost.parts(reference, shown, "lower")] == ["a2", "a1", "a3", "b1"]
    assert [row["name"] for row in lost.apart(found, 2)] == ["a2", "b1"]


@pytest.fixture
def evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models, of which the second makes one input worse and one better."""
    monkeypatch.chdir(tmp_path)
    for precision, values in (("fp32", [1, 0, 1]), ("int8", [1, 1, 0])):
        folder = paths.evaluation("translation", "base", precision)
        write_json(folder / "metrics.json", {"tables": {"parts": rows(a=sum(values) / 3)}})
        write_json(folder / "each.json", {"positions": [0, 1, 2], "values": values})
        write_jsonl(folder / "predictions.jsonl", [f"{precision} {i}" for i in range(3)])
    return tmp_path


class Predict:
    @staticmethod
    def inputs(dataset: Path, split: str) -> list[str]:
        return [f"<b>source {i}" for i in range(3)]


class Score:
    @staticmethod
    def references(dataset: Path, split: str) -> list[dict[str, str]]:
        return [{"text": f"text {i}"} for i in range(3)]


def test_sentences_that_differ_stand_side_by_side(evaluations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roles: dict[str, Any] = {"predict": Predict, "score": Score, "show": task.load("translation", "show")}
    monkeypatch.setattr(task, "load", lambda name, role: roles[role])
    pairs = {"base fp32": ("base", "fp32"), "base int8": ("base", "int8")}
    found = flipped.compare("translation", pairs, "higher", evaluations / "flipped")
    assert (found["worse"], found["better"], found["compared"]) == (1, 1, 3)
    assert found["captions"] == ["1 → 0", "0 → 1"] and found["pictures"] == []
    page = (evaluations / "flipped" / "examples.html").read_text(encoding="utf-8")
    assert "<th>base fp32</th><th>base int8</th>" in page
    lines = [line for line in page.splitlines() if "source " in line]
    assert len(lines) == 2 and "fp32 2 (" in lines[0] and "int8 2 (" in lines[0] and "int8 1 (" in lines[1]
    assert "&lt;b&gt;source" in page and "<b>" not in page


def test_equal_models_have_no_examples(evaluations: Path) -> None:
    same = ("base", "fp32")
    found = flipped.compare("translation", {"one": same, "other": same}, "higher", evaluations / "flipped")
    assert (found["worse"], found["better"], found["captions"], found["pictures"]) == (0, 0, [], [])
    assert json.loads(json.dumps(found["parts"]))[0]["gain"] == 0
    assert not (evaluations / "flipped").exists()
