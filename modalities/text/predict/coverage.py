"""How much of a source a translation has looked at: Wu et al. 2016, https://arxiv.org/abs/1609.08144, equation 14."""

from __future__ import annotations

import numpy as np

LEAST = float(np.finfo(np.float32).tiny)
"""Attention of a subword that got none: its logarithm is finite."""


def coverage(weights: np.ndarray) -> float:
    """weights: [t, S], attention of each target subword to the source's, without padding.

    Returns: the sum over the source of log(min(attention that it got, 1)); 0 when all of it was looked at.
    """
    return float(np.log(np.clip(weights.sum(0, dtype=np.float64), LEAST, 1.0)).sum())
