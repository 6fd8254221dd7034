"""The bootstrap of all tasks: how much a figure depends on which samples happen to be in a split.

A task says what its metrics are when each sample counts so many times (`score.weighted`); resamples, intervals and
paired differences are the same for all of them. Shapes: `S` samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Weighted = Callable[[NDArray[np.float64]], dict[str, float]]
"""(S,) how often each sample counts -> metrics by name."""
LEVEL = (2.5, 97.5)
"""Percentiles of a 95 % interval."""
GROUPS = 200
"""Parts of a split that are left out in turn."""
TOGETHER = 200
"""Resamples that a metric is given at once, where it takes several."""


def resamples(samples: int, count: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """`count` times (S,): how often each sample was drawn, with replacement. The same for every model of a split."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield np.bincount(rng.integers(0, samples, samples), minlength=samples).astype(np.float64)


def values(weighted: Weighted, rows: Iterable[NDArray[np.float64]]) -> dict[str, list[float]]:
    """Values of each metric, one for each of `rows`, (S,) how often each sample counts."""
    found: dict[str, list[float]] = {}
    many, rows = getattr(weighted, "many", None), iter(rows)
    while together := list(islice(rows, TOGETHER)):
        made = [weighted(row) for row in together] if many is None else []
        lists = {name: [each[name] for each in made] for name in made[0]} if many is None else many(np.stack(together))
        for name, of_rows in lists.items():
            found.setdefault(name, []).extend(of_rows)
    return found


def draw(weighted: Weighted, samples: int, count: int, seed: int) -> dict[str, list[float]]:
    """Values of each metric, one for each resample; without samples its one value.

    Those of two models on one split belong together in pairs, since the resamples are the same.
    """
    if not samples:
        return {name: [value] for name, value in weighted(np.zeros(0)).items()}
    return values(weighted, resamples(samples, count, seed))


def left_out(weighted: Weighted, samples: int, seed: int) -> dict[str, list[float]]:
    """Values of each metric without one sample (the jackknife), or one of `GROUPS` random groups where there are more.

    The same ones for every model of a split.
    """
    group = np.random.default_rng(seed).permutation(samples) % GROUPS
    return values(weighted, ((group != each).astype(np.float64) for each in range(min(samples, GROUPS))))


def intervals(drawn: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals (Efron and Tibshirani 1993, chapter 13) of what `draw` gave."""
    bounds = {name: np.percentile(values, LEVEL) for name, values in drawn.items()}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}
