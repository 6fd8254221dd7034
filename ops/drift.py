"""How far the inputs of a served model are from those that it learned from.

A feature's training values are cut into `BINS` quantile bins; the population stability index (PSI; Siddiqi 2006, Credit
Risk Scorecards) compares the shares of served inputs with the shares of training inputs, bin by bin. Below 0.1 is taken
for stable, above 0.25 for drifted.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

BINS = 10
NAME = "statistics.json"
"""File of a package: `{"count", "features": {name: {"edges", "shares"}}}`; `bin_of(edges, value)` is a value's bin."""
LEAST = 1e-4
"""An empty bin counts as this share, or the index would be infinite."""


def statistics(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Of training inputs, a row of features each."""
    features = {}
    for name in rows[0] if rows else ():
        values = np.array([row[name] for row in rows], np.float64)
        quantiles = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
        # What many inputs share (a constant, a small integer) is a bin of its own: what is above it is another thing.
        shared = [edge for edge in quantiles if (values == edge).mean() > 1 / BINS]
        edges = np.unique([*quantiles, *np.nextafter(shared, np.inf)]).tolist()
        counts = np.bincount([bin_of(edges, value) for value in values], minlength=len(edges) + 1)
        features[name] = {"edges": edges, "shares": (counts / len(values)).round(6).tolist()}
    return {"count": len(rows), "features": features}


def bin_of(edges: Sequence[float], value: float) -> int:
    """0 to len(edges): the bin of a value, which starts at its lower edge."""
    return bisect_right(edges, value)


def psi(expected: Sequence[float], counts: Sequence[float]) -> float:
    """Population stability index: 0 for equal shares. expected: shares; counts: of the same bins, not all zero."""
    total = sum(counts)
    index = 0.0
    for share, count in zip(expected, counts, strict=True):
        old, new = max(share, LEAST), max(count / total, LEAST)
        index += (new - old) * math.log(new / old)
    return index
