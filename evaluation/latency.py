"""What the candidates of a task take on real inputs: everything from raw input to result, as a user waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
        if isinstance(value, Path):
            value.read_bytes()  # so that nobody waits for the disk
    for predict in predictors.values():
        for number in range(WARMUP):
            predict(batch(inputs, size, number))
    calls = {name: _call(predict, inputs, size) for name, predict in predictors.items()}
    return timing.interleave(calls, rounds, patience_s, seed)


def batch(inputs: Sequence[Any], size: int, number: int) -> list[Any]:
    """Inputs of a round: the next `size` ones, from the first again after the last."""
    return [inputs[(number * size + i) % len(inputs)] for i in range(size)]


def _call(predict: Predict, inputs: Sequence[Any], size: int) -> Call:
    def call(number: int) -> float:
        given = batch(inputs, size, number)
        start = time.perf_counter()
        predict(given)
        return time.perf_counter() - start

    return call
