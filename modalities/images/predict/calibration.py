"""Temperature scaling (Guo et al. 2017, https://arxiv.org/abs/1706.04599): one number that makes probabilities honest.

Numpy only, as all that ships. Shapes: N samples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.images.inputs.canonical import read_split
from modalities.images.inputs.decode import decode
from modalities.images.inputs.labels import log_probabilities

BATCH = 16
MOST = 5000
"""Samples to which a temperature is fitted at most."""
RANGE = (0.05, 20.0)
"""In which it is looked for: where a model is always right, no temperature would be low enough."""
STEPS = 60


def outputs(
    dataset: Path,
    classes: Sequence[dict[str, Any]],
    picture: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    compute: Callable[[list[NDArray[np.uint8]]], NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What a model says of (a seeded choice of) `val`, and what is true: logits (N, K) and targets (N, K).

    classes: {"id", "name"} in the order of the outputs; picture: an image as the network takes it; compute: logits of
    a batch of these.
    """
    records, _ = read_split(dataset, "val")
    chosen = [records[i] for i in np.random.default_rng(0).permutation(len(records))[:MOST].tolist()]
    position = {entry["id"]: i for i, entry in enumerate(classes)}
    logits, targets = np.zeros((len(chosen), len(classes)), np.float32), np.zeros((len(chosen), len(classes)), bool)
    for first in range(0, len(chosen), BATCH):
        batch = chosen[first : first + BATCH]
        logits[first : first + BATCH] = compute([picture(decode(record["file"])) for record in batch])
        for row, record in enumerate(batch, first):
            targets[row, [position[label] for label in record["whole"].tolist()]] = True
    return logits, targets


def loss(logits: NDArray[np.float64], targets: NDArray[np.bool_], multilabel: bool) -> float:
    """Mean negative log-likelihood of the true classes; with several labels, also of the others' absence."""
    told = log_probabilities(logits, multilabel)
    absent = log_probabilities(-logits, multilabel)[~targets].sum() if multilabel else 0.0
    return -float(told[targets].sum() + absent) / max(1, len(logits))


def temperature(logits: NDArray[np.float32], targets: NDArray[np.bool_], multilabel: bool) -> float:
    """The temperature T in `RANGE` by which dividing the logits makes `loss` least; 1.0 without samples.

    logits: (N, K); targets: (N, K), true for the classes that a sample has.
    The loss is convex in 1 / T, so it has one valley in log(T): golden-section search.
    """
    if not targets.any():
        return 1.0
    values = logits.astype(np.float64)
    shrink = (np.sqrt(5) - 1) / 2
    low, high = np.log(RANGE)
    left, right = high - shrink * (high - low), low + shrink * (high - low)
    one, two = (loss(values / np.exp(at), targets, multilabel) for at in (left, right))
    for _ in range(STEPS):
        if one <= two:
            high, right, two = right, left, one
            left = high - shrink * (high - low)
            one = loss(values / np.exp(left), targets, multilabel)
        else:
            low, left, one = left, right, two
            right = low + shrink * (high - low)
            two = loss(values / np.exp(right), targets, multilabel)
    return round(float(np.exp((low + high) / 2)), 4)
