"""Role `score`: the root of the mean squared error, of which less is better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.files import read_json

MAIN, TITLE, BETTER = "rmse", "RMSE", "lower"


def references(dataset: Path, split: str) -> list[float]:
    return [point["y"] for point in read_json(dataset / f"{split}.json")]


def score(predictions: Sequence[float], references: Sequence[float], params: Any) -> dict[str, Any]:
    metrics = weighted(predictions, references, params)(np.ones(len(references)))
    return {"metrics": metrics, "signature": "rmse", "tables": {}}


def weighted(
    predictions: Sequence[float], references: Sequence[float], params: Any
) -> Callable[[np.ndarray], dict[str, float]]:
    squares = (np.array(predictions) - np.array(references)) ** 2
    return lambda counts: {"rmse": float(np.sqrt((counts * squares).sum() / counts.sum()))}
