"""What a network says of the labels of whole pictures, in training's validation as in what ships: numpy alone.

Shapes: N pictures, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP = 5
"""Classes that a prediction names; all of them where a picture may have several."""


def probabilities(logits: NDArray[Any], multilabel: bool) -> NDArray[np.float64]:
    """(N, K) of logits: each row's softmax, or with several labels each value's sigmoid."""
    return np.exp(log_probabilities(logits.astype(np.float64), multilabel))


def log_probabilities(logits: NDArray[np.float64], multilabel: bool) -> NDArray[np.float64]:
    """(N, K) log-softmax of each row, or with several labels the log-sigmoid of each value."""
    if multilabel:
        return -np.logaddexp(0.0, -logits)
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def ranked(probabilities: NDArray[np.float64], classes: Sequence[Any], top: int) -> list[dict[str, Any]]:
    """`label`, `category_id` and `probability` of the `top` likeliest classes, best first. probabilities: (K,)."""
    order = np.argsort(-probabilities, kind="stable")[:top].tolist()
    return [
        {"label": classes[i]["name"], "category_id": classes[i]["id"], "probability": float(probabilities[i])}
        for i in order
    ]


def described(probabilities: NDArray[np.float64], classes: Sequence[Any], multilabel: bool) -> dict[str, Any]:
    """The likeliest class, and in `classes` the `TOP` likeliest, or with several labels all. probabilities: (K,)."""
    entries = ranked(probabilities, classes, len(classes) if multilabel else TOP)
    return {**entries[0], "classes": entries}
