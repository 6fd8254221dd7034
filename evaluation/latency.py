"""What the candidates of a task take on real inputs: everything from raw input to result, as a user waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evaluation import timing
from evaluation.timing import Call, Seconds

BATCHES = (1, 8)
WARMUP = 5
"""Calls before those that count: the first ones reserve memory and choose kernels."""

Predict = Callable[[Sequence[Any]], Any]


def measure(
    predictors: Mapping[str, Predict], inputs: Sequence[Any], size: int, rounds: int, patience_s: float, seed: int
) -> dict[str, Seconds]:
    """Time all predictors on successive batches of `inputs`, the same ones for all of a round.

    predictors: the first is the reference. Returns and other arguments: see `timing.interleave`.
    """
    for value in inputs:
        if hasattr(value, "read_bytes"):
            value.read_bytes()  # so that nobody waits for the disk
    for predict in predictors.values():
        for number in range(WARMUP):
            predict(batch(inputs, size, number))
    calls = {name: _call(predict, inputs, size) for name, predict in predictors.items()}
    return timing.interleave(calls, rounds, patience_s, seed)


def measure_alone(
    loaders: Mapping[str, Callable[[], Predict]], inputs: Sequence[Any], size: int, calls: int, seed: int
) -> dict[str, Seconds]:
    """Likewise where a session has threads of its own: these go on looking for work, which no other one may meet.

    Six such sessions side by side made each four times slower than it was alone. So one at a time is loaded, times
    `calls` batches and is gone, in `timing.BLOCKS` turns of all candidates. Returns: (BLOCKS * calls,) seconds of each.
    """
    rng, names = np.random.default_rng(seed), list(loaders)
    taken: dict[str, list[float]] = {name: [] for name in names}
    with timing.quiet():
        for turn in range(timing.BLOCKS):
            for i in rng.permutation(len(names)):
                predict = loaders[names[i]]()
                call = _call(predict, inputs, size)
                for number in range(WARMUP):
                    predict(batch(inputs, size, number))
                taken[names[i]] += [call(turn * calls + number) for number in range(calls)]
                del predict, call
    return {name: np.array(values) for name, values in taken.items()}


def batch(inputs: Sequence[Any], size: int, number: int) -> list[Any]:
    """Inputs of a round: the next `size` ones, from the first again after the last."""
    return [inputs[(number * size + i) % len(inputs)] for i in range(size)]


def _call(predict: Predict, inputs: Sequence[Any], size: int) -> Call:
    return lambda number: timed(predict, inputs, size, number)


def timed(predict: Predict, inputs: Sequence[Any], size: int, number: int) -> float:
    """Seconds of the call of a round."""
    given = batch(inputs, size, number)
    start = time.perf_counter()
    predict(given)
    return time.perf_counter() - start
