"""What `evaluate` scores: the model as it ships, and further modes under their own names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from evaluation import quality

PARAMS = SimpleNamespace(evaluate=SimpleNamespace(bootstrap=3))
ROLE = SimpleNamespace(inputs=lambda dataset, split: list(range(20)))


class Adder:
    """Adds `step`; remembers the sizes of its batches."""

    def __init__(self, step: int):
        self.step, self.sizes = step, list[int]()

    def __call__(self, inputs: Sequence[int]) -> list[int]:
        self.sizes.append(len(inputs))
        return [value + self.step for value in inputs]


def scored(predictions: Sequence[int], references: Sequence[int], params: Any) -> dict[str, Any]:
    right = sum(a == b for a, b in zip(predictions, references, strict=True)) / len(references)
    return {"metrics": {"accuracy": right}, "signature": "toy", "tables": {}}


def weighted(predictions: Sequence[int], references: Sequence[int], params: Any) -> Any:
    right = np.equal(predictions, references)
    return lambda weights: {"accuracy": float(weights @ right / weights.sum())}


SCORING = SimpleNamespace(
    references=lambda dataset, split: [value + 1 for value in range(20)],
    score=scored,
    weighted=weighted,
)


def test_every_input_is_predicted_once_in_order_and_modes_have_prefixes() -> None:
    right, wrong = Adder(1), Adder(2)
    found = quality.score(ROLE, SCORING, {"": right, "greedy": wrong}, Path(), "val", PARAMS, 6)
    assert found.predictions == [value + 1 for value in range(20)]
    assert right.sizes == [8, 8, 4]
    assert found.scores["metrics"] == {"accuracy": 1.0, "greedy_accuracy": 0.0}
    assert found.scores["intervals"] == {"accuracy": [1.0, 1.0], "greedy_accuracy": [0.0, 0.0]}
    assert found.scores["inputs"] == 20
