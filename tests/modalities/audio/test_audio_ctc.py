"""Searches over paths against every path that there is."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest

from modalities.audio.inputs import ctc


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != ctc.BLANK)


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_likeliest_symbols(seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 1.5, (5, 4))
    log_probs = (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)
    every: dict[tuple[int, ...], float] = defaultdict(lambda: -np.inf)
    for path in itertools.product(range(4), repeat=5):
        symbols = collapsed(path)
        every[symbols] = np.logaddexp(every[symbols], log_probs[range(5), path].sum(dtype=np.float64))
    best = max(every, key=every.__getitem__)
    found = ctc.decode(log_probs, 500)
    assert found.symbols == best and found.score == pytest.approx(every[best], abs=1e-5)
    greedy = ctc.decode(log_probs, 1)
    assert greedy.symbols == collapsed(tuple(log_probs.argmax(1).tolist()))


def sure(*path: int) -> np.ndarray:
    """Log-probabilities of a network that is sure."""
    rows = np.full((len(path), 3), -12.0, np.float32)
    rows[range(len(path)), path] = -1e-5
    return rows


@pytest.mark.parametrize("beam", [1, 4])
def test_symbols_are_told_with_the_frames_that_they_began_in(beam: int) -> None:
    found = ctc.decode(sure(0, 1, 1, 0, 1, 2, 2, 0), beam)
    assert found.symbols == (1, 1, 2) and found.frames == (1, 4, 5)
    assert ctc.decode(sure(0, 0), beam) == ctc.Found((), (), pytest.approx(-2e-5))
    assert ctc.decode(np.zeros((0, 3), np.float32), beam).symbols == ()


def test_many_ways_beat_the_likeliest_path() -> None:
    """Graves 2012, figure 7.4: the blank is likeliest in both frames, the symbol over all paths."""
    log_probs = np.log(np.array([[0.6, 0.4], [0.6, 0.4]], np.float32))
    assert ctc.decode(log_probs, 1).symbols == ()
    assert ctc.decode(log_probs, 3).symbols == (1,)
