"""Temperature scaling (Guo et al. 2017, https://arxiv.org/abs/1706.04599): one number that makes probabilities honest.

Numpy only, as all that ships. Shapes: N samples, K classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 5000
"""Samples to which a temperature is fitted at most."""
RANGE = (0.05, 20.0)
"""In which it is looked for: where a model is always right, no temperature would be low enough."""
STEPS = 60


def log_probabilities(logits: NDArray[np.float64], multilabel: bool) -> NDArray[np.float64]:
    """(N, K) log-softmax of each row, or with several labels the log-sigmoid of each value."""
    if multilabel:
        return -np.logaddexp(0.0, -logits)
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


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
