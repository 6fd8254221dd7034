"""Transcripts of connectionist temporal classification (Graves et al. 2006): one symbol, or the blank, a frame; equal
neighbours are one, and blanks go. numpy only.

F frames, V symbols with the blank, which is `BLANK`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLANK = 0
UNLIKELY = -9.0
"""Log-probability below which a symbol begins no new prefix in a frame."""


@dataclass(frozen=True)
class Found:
    symbols: tuple[int, ...]
    frames: tuple[int, ...]
    """In which each one began."""
    score: float
    """Log-probability of the symbols; of `greedy` that of its one path."""


def decode(log_probs: NDArray[np.float32], beam: int) -> Found:
    """log_probs: (F, V). beam: prefixes that are kept; 1: `greedy`."""
    return greedy(log_probs) if beam == 1 else search(log_probs, beam)


def greedy(log_probs: NDArray[np.float32]) -> Found:
    """The likeliest path."""
    path = log_probs.argmax(1)
    begins = np.flatnonzero((path != BLANK) & (path != np.concatenate([[BLANK], path[:-1]])))
    score = float(log_probs.max(1).sum(dtype=np.float64))
    return Found(tuple(path[begins].tolist()), tuple(begins.tolist()), score)


def search(log_probs: NDArray[np.float32], beam: int) -> Found:
    """The likeliest symbols over all paths that give them, among prefixes that a beam keeps (Hannun et al. 2014,
    https://arxiv.org/abs/1408.2873, algorithm 1, without a language model)."""
    minus = -math.inf
    # symbols -> log-probability of the paths that end in a blank, of those that do not, and where each symbol began
    beams: dict[tuple[int, ...], tuple[float, float, tuple[int, ...]]] = {(): (0.0, minus, ())}
    for frame, row in enumerate(log_probs.tolist()):
        likely = [symbol for symbol, value in enumerate(row) if value > UNLIKELY and symbol != BLANK]
        grown: dict[tuple[int, ...], list[Any]] = {}

        def add(prefix: tuple[int, ...], place: int, value: float, begins: tuple[int, ...]) -> None:
            entry = grown.setdefault(prefix, [minus, minus, begins])  # noqa: B023
            if value > max(entry[:2]):
                entry[2] = begins
            entry[place] = _sum(entry[place], value)

        for prefix, (blank, other, begins) in beams.items():
            both = _sum(blank, other)
            add(prefix, 0, both + row[BLANK], begins)
            if prefix:
                add(prefix, 1, other + row[prefix[-1]], begins)
            for symbol in likely:
                before = blank if prefix and symbol == prefix[-1] else both
                add((*prefix, symbol), 1, before + row[symbol], (*begins, frame))
        kept = sorted(grown, key=lambda prefix: -_sum(*grown[prefix][:2]))[:beam]
        beams = {prefix: tuple(grown[prefix]) for prefix in kept}
    best = max(beams, key=lambda prefix: _sum(*beams[prefix][:2]))
    return Found(best, beams[best][2], _sum(*beams[best][:2]))


def _sum(one: float, other: float) -> float:
    """Of two probabilities by their logarithms; of single numbers several times faster than `numpy.logaddexp`."""
    high, low = (one, other) if one > other else (other, one)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
