"""Role `score` of classification: accuracy, macro F1 and calibration, with numpy alone.

A reference is {"labels" (category ids), "categories" ({"id", "name"} of the dataset)}; a prediction is what `Predictor`
returns for an image. With several labels (`data.multilabel`) a class is predicted from a probability of `THRESHOLD` on,
an image is right when its set of labels is, and confidence is that of each class by itself.

Shapes: S samples, K classes, D decisions whose confidence counts (one a sample; with several labels, K a sample).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.images.inputs import canonical

MAIN, TITLE, BETTER = "accuracy", "accuracy", "higher"
THRESHOLD = 0.5
TOP = 5
BINS = 15
"""Of confidence, of equal width, as in Guo et al. 2017 (arXiv:1706.04599)."""


@dataclass(frozen=True)
class Outcomes:
    """What came of each sample, so that metrics of any weights are sums."""

    right: NDArray[np.float64]
    """(S,) whether the label, or the set of labels, is right."""
    near: NDArray[np.float64] | None
    """(S,) whether it is among the `TOP`; None where all classes are, or with several labels."""
    truth: NDArray[np.bool_]
    """(S, K)"""
    chosen: NDArray[np.bool_]
    """(S, K)"""
    owner: NDArray[np.int64]
    """(D,) the sample that a decision is of."""
    confidence: NDArray[np.float64]
    """(D,)"""
    correct: NDArray[np.float64]
    """(D,)"""


def references(dataset: Path, split: str) -> list[dict[str, Any]]:
    """References of a split in the order of its images."""
    records, categories = canonical.read_split(dataset, split)
    return [{"labels": record["whole"].tolist(), "categories": categories} for record in records]


def score(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> dict[str, Any]:
    """`accuracy`, `top5` (of more than five classes), `macro_f1` (over classes that occur or are predicted), `ece`
    (expected calibration error, lower is better); a row for each class, confusion, reliability. Nothing at all is 0."""
    outcomes, ones = _outcomes(predictions, references, params.data.multilabel), np.ones(len(references))
    names = [entry["name"] for entry in _categories(references)]
    true, found, hits = _counts(outcomes, ones)
    precision, recall = _ratio(hits, found), _ratio(hits, true)
    rows = [
        {"class": name, "precision": p, "recall": r, "f1": f, "support": int(count)}
        for name, p, r, f, count in zip(names, precision, recall, _ratio(2 * hits, true + found), true, strict=True)
    ]
    count, confidence, correct = _bins(outcomes, ones)
    return {
        "metrics": _metrics(outcomes, ones),
        "signature": signature(params.data.multilabel),
        "tables": {
            "classes": [{k: v if isinstance(v, str | int) else float(v) for k, v in row.items()} for row in rows],
            "confusion": None if params.data.multilabel else _confusion(outcomes, names),
            "reliability": {
                "count": count.astype(int).tolist(),
                "confidence": _ratio(confidence, count).tolist(),
                "accuracy": _ratio(correct, count).tolist(),
            },
        },
    }


def weighted(
    predictions: Sequence[Any], references: Sequence[Any], params: Any
) -> Callable[[NDArray[np.float64]], dict[str, float]]:
    """The metrics of `score` when each image counts so many times."""
    outcomes = _outcomes(predictions, references, params.data.multilabel)
    return lambda weights: _metrics(outcomes, weights)


def signature(multilabel: bool) -> str:
    """What a number was computed with, e.g. `top1|f1:macro|ece:15 equal widths|numpy:2.4.6`."""
    kind = f"labels from {THRESHOLD}" if multilabel else "top1"
    return f"{kind}|f1:macro|ece:{BINS} equal widths|numpy:{np.__version__}"


def _outcomes(predictions: Sequence[Any], references: Sequence[Any], multilabel: bool) -> Outcomes:
    position = {entry["id"]: i for i, entry in enumerate(_categories(references))}
    shape = (len(references), len(position))
    truth, chosen, probability = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape)
    near = np.zeros(len(references))
    for row, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        truth[row, [position[label] for label in reference["labels"]]] = True
        for rank, entry in enumerate(prediction["classes"]):
            at = position[entry["category_id"]]
            probability[row, at] = entry["probability"]
            chosen[row, at] = entry["probability"] >= THRESHOLD if multilabel else rank == 0
            near[row] += truth[row, at] and rank < TOP
    right = (truth == chosen).all(1)
    rows = np.arange(len(references))
    if multilabel:
        owner, sure = np.repeat(rows, len(position)), np.maximum(probability, 1 - probability).ravel()
        correct = (truth == chosen).ravel()
    else:
        owner, sure, correct = rows, (probability * chosen).sum(1), right
    kept = None if multilabel or len(position) <= TOP else near
    return Outcomes(right.astype(float), kept, truth, chosen, owner, sure, correct.astype(float))


def _metrics(outcomes: Outcomes, weights: NDArray[np.float64]) -> dict[str, float]:
    total = max(float(weights.sum()), 1e-12)
    true, found, hits = _counts(outcomes, weights)
    occurs = true + found > 0
    count, confidence, correct = _bins(outcomes, weights)
    return {
        "accuracy": float(weights @ outcomes.right) / total,
        **({} if outcomes.near is None else {"top5": float(weights @ outcomes.near) / total}),
        "macro_f1": float(_ratio(2 * hits, true + found)[occurs].mean()) if occurs.any() else 0.0,
        "ece": float(np.abs(correct - confidence).sum() / max(float(count.sum()), 1e-12)),
    }


def _counts(outcomes: Outcomes, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """(K,) how often each class is true, predicted, and both."""
    tables = outcomes.truth, outcomes.chosen, outcomes.truth & outcomes.chosen
    return tuple(weights @ table for table in tables)


def _bins(outcomes: Outcomes, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """(BINS,) decisions in each bin of confidence, the sum of their confidence, and how many were right."""
    at = np.minimum((outcomes.confidence * BINS).astype(int), BINS - 1)
    weight = weights[outcomes.owner]
    return tuple(
        np.bincount(at, weight * values, BINS) for values in (np.ones(len(at)), outcomes.confidence, outcomes.correct)
    )


def _confusion(outcomes: Outcomes, names: Sequence[str]) -> dict[str, Any]:
    """Row: truth, column: prediction."""
    counts = outcomes.truth.T.astype(int) @ outcomes.chosen.astype(int)
    return {"names": list(names), "counts": counts.tolist()}


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def _categories(references: Sequence[Any]) -> list[dict[str, Any]]:
    return references[0]["categories"] if references else []
