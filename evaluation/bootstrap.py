"""The bootstrap of all tasks: how much a figure depends on which samples happen to be in a split.

A task says what its metrics are when each sample counts so many times (`score.weighted`); resamples, intervals and
paired differences are the same for all of them. Shapes: `S` samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

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


def blocks(scoring: Any, references: Sequence[Any]) -> NDArray[np.int64] | None:
    """(S,) the block of each sample, from 0, of a task whose samples are drawn in blocks (`core.task.Score.blocks`); a
    single block tells nothing of chance, and its samples are drawn by themselves."""
    if not hasattr(scoring, "blocks"):
        return None
    found = np.unique(scoring.blocks(references), return_inverse=True)[1]
    return found if found.any() else None


def resamples(
    samples: int, count: int, seed: int, blocks: NDArray[np.int64] | None = None
) -> Iterator[NDArray[np.float64]]:
    """`count` times (S,): how often each sample was drawn, with replacement, those of a block together (Kuensch 1989).
    The same for every model of a split."""
    rng = np.random.default_rng(seed)
    units = samples if blocks is None else int(blocks.max(initial=-1)) + 1
    for _ in range(count):
        drawn = np.bincount(rng.integers(0, units, units), minlength=units).astype(np.float64)
        yield drawn if blocks is None else drawn[blocks]


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


def draw(
    weighted: Weighted, samples: int, count: int, seed: int, blocks: NDArray[np.int64] | None = None
) -> dict[str, list[float]]:
    """Values of each metric, one for each resample; without samples its one value.

    Those of two models on one split belong together in pairs, since the resamples are the same.
    """
    if not samples:
        return {name: [value] for name, value in weighted(np.zeros(0)).items()}
    return values(weighted, resamples(samples, count, seed, blocks))


def left_out(
    weighted: Weighted, samples: int, seed: int, blocks: NDArray[np.int64] | None = None
) -> dict[str, list[float]]:
    """Values of each metric without one sample or block (the jackknife), or one of `GROUPS` random groups where there
    are more.

    The same ones for every model of a split.
    """
    units = samples if blocks is None else int(blocks.max(initial=-1)) + 1
    group = np.random.default_rng(seed).permutation(units) % GROUPS
    group = group if blocks is None else group[blocks]
    return values(weighted, ((group != each).astype(np.float64) for each in range(min(units, GROUPS))))


def intervals(drawn: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals (Efron and Tibshirani 1993, chapter 13) of what `draw` gave."""
    bounds = {name: np.percentile(values, LEVEL) for name, values in drawn.items()}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}
