"""Metrics of labels of whole pictures: accuracy, F1 and calibration, with numpy alone, as sums over samples.

With several labels a class is predicted from a probability of `THRESHOLD` on, a sample is right when its set of labels
is, and the confidence is that of each class by itself.

Shapes: S samples, K classes, D decisions whose confidence counts (one a sample; with several labels, K a sample).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def outcomes(
    predictions: Sequence[Mapping[int, float]], labels: Sequence[Sequence[int]], ids: Sequence[int], several: bool
) -> Outcomes:
    """predictions: of each sample, probabilities by category id, the likeliest first, of all classes or the first few;
    labels: its true ids; ids: of all classes; several: whether a sample may have several labels, or none."""
    position = {number: i for i, number in enumerate(ids)}
    shape = (len(labels), len(ids))
    truth, chosen, probability = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape)
    near = np.zeros(len(labels))
    for row, (prediction, own) in enumerate(zip(predictions, labels, strict=True)):
        truth[row, [position[label] for label in own]] = True
        for rank, (number, value) in enumerate(prediction.items()):
            at = position[number]
            probability[row, at] = value
            chosen[row, at] = value >= THRESHOLD if several else rank == 0
            near[row] += truth[row, at] and rank < TOP
    right = (truth == chosen).all(1)
    rows = np.arange(len(labels))
    if several:
        owner, sure = np.repeat(rows, len(ids)), np.maximum(probability, 1 - probability).ravel()
        correct = (truth == chosen).ravel()
    else:
        owner, sure, correct = rows, (probability * chosen).sum(1), right
    kept = None if several or len(ids) <= TOP else near
    return Outcomes(right.astype(float), kept, truth, chosen, owner, sure, correct.astype(float))


def metrics(outcomes: Outcomes, weights: NDArray[np.float64]) -> dict[str, float]:
    """`accuracy`, `top5` (of more than five classes), `macro_f1` (over classes that occur or are predicted), `ece`
    (expected calibration error, Guo et al. 2017, equation 3); 0 of nothing. weights: (S,) how often each counts."""
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


def _counts(outcomes: Outcomes, weights: NDArray[np.float64]) -> tuple[NDArray[Any], ...]:
    """(K,) how often each class is true, predicted, and both."""
    true, found = outcomes.truth.astype(float), outcomes.chosen.astype(float)
    return weights @ true, weights @ found, weights @ (true * found)


def _bins(outcomes: Outcomes, weights: NDArray[np.float64]) -> tuple[NDArray[Any], ...]:
    """(BINS,) decisions in each bin of confidence, the sum of their confidence, and how many were right."""
    at = np.minimum((outcomes.confidence * BINS).astype(int), BINS - 1)
    weight = weights[outcomes.owner]
    return tuple(
        np.bincount(at, weight * values, BINS) for values in (np.ones(len(at)), outcomes.confidence, outcomes.correct)
    )


def tables(outcomes: Outcomes, names: Sequence[str], several: bool) -> dict[str, Any]:
    """`classes`, a row for each; `parts`, the accuracy on the images of each class; `confusion` (None with several
    labels); `reliability`, of each bin of confidence."""
    ones = np.ones(len(outcomes.right))
    true, found, hits = _counts(outcomes, ones)
    figures = {
        "precision": _ratio(hits, found), "recall": _ratio(hits, true), "f1": _ratio(2 * hits, true + found)
    }  # fmt: skip
    count, confidence, correct = _bins(outcomes, ones)
    right = _ratio(outcomes.right @ outcomes.truth.astype(float), true)
    return {
        "classes": [
            {"class": name, **{k: float(v[i]) for k, v in figures.items()}, "support": int(true[i])}
            for i, name in enumerate(names)
        ],
        "parts": [
            {"kind": "class", "name": name, "count": int(true[i]), "value": float(right[i])}
            for i, name in enumerate(names)
            if true[i]
        ],
        "confusion": None if several else _confusion(outcomes, names),
        "reliability": {
            "count": count.astype(int).tolist(),
            "confidence": _ratio(confidence, count).tolist(),
            "accuracy": _ratio(correct, count).tolist(),
        },
    }


def _confusion(outcomes: Outcomes, names: Sequence[str]) -> dict[str, Any]:
    """Row: truth, column: prediction."""
    counts = outcomes.truth.T.astype(int) @ outcomes.chosen.astype(int)
    return {"names": list(names), "counts": counts.tolist()}


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
