"""Role `score` of classification: accuracy, macro F1 and calibration, see `modalities.images.score.labels`.

A reference is {"whole" (category ids), "categories" ({"id", "name"} of the dataset)}; a prediction is what `Predictor`
returns for an image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.images.score import labels
from modalities.images.score import references as truth

MAIN, TITLE, BETTER = "accuracy", "accuracy", "higher"


def references(dataset: Path, split: str) -> list[dict[str, Any]]:
    """References of a split in the order of its images."""
    return truth.read(dataset, split, "whole")


def score(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> dict[str, Any]:
    """The metrics and tables of `labels`."""
    several, names = params.data.multilabel, [entry["name"] for entry in truth.categories(references)]
    outcomes = _outcomes(predictions, references, several)
    return {
        "metrics": labels.metrics(outcomes, np.ones(len(references))),
        "signature": signature(several),
        "tables": labels.tables(outcomes, names, several),
    }


def weighted(
    predictions: Sequence[Any], references: Sequence[Any], params: Any
) -> Callable[[NDArray[np.float64]], dict[str, float]]:
    """The metrics of `score` when each image counts so many times."""
    outcomes = _outcomes(predictions, references, params.data.multilabel)
    return lambda weights: labels.metrics(outcomes, weights)


def signature(several: bool) -> str:
    """What a number was computed with, e.g. `top1|f1:macro|ece:15 equal widths|numpy:2.4.6`."""
    kind = f"sets of labels from {labels.THRESHOLD}" if several else "top1"
    return f"{kind}|f1:macro|ece:{labels.BINS} equal widths|numpy:{np.__version__}"


def _outcomes(predictions: Sequence[Any], references: Sequence[Any], several: bool) -> labels.Outcomes:
    shares = [{entry["category_id"]: entry["probability"] for entry in one["classes"]} for one in predictions]
    ids = [entry["id"] for entry in truth.categories(references)]
    return labels.outcomes(shares, [reference["whole"] for reference in references], ids, several)
