"""How a model uses the cores: so many batches side by side, each with so many of ONNX Runtime's threads.

By itself each core computes a batch of its own: threads that share one wait for each other at every operator, and a
second batch computes while Python works on the first. Where that is not the best, a measurement tells.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MOST = 8
"""Instances that are chosen: what Python does in each of them is done one at a time, and each needs memory for what the
network has between its layers; cores beyond become threads of theirs."""
SECONDS = 0.5
"""Of one round of a measurement, of which each way has `ROUNDS` in turn."""
ROUNDS = 2


@dataclass(frozen=True)
class Way:
    instances: int
    threads: int
    """Of ONNX Runtime, for one batch; 0: as many as it finds cores."""


def choose(instances: int | None, threads: int | None, cores: int) -> Way:
    """What is not given follows from what is, so that as many threads compute as there are cores."""
    if instances is None and threads is not None:
        return Way(1 if threads == 0 else max(1, min(MOST, cores // threads)), threads)
    if instances is None:
        instances = min(MOST, cores)
    return Way(instances, max(1, cores // instances) if threads is None else threads)


def candidates(cores: int) -> list[Way]:
    """From one batch on all cores to one on each."""
    return [Way(instances, cores // instances) for instances in range(1, min(MOST, cores) + 1) if not cores % instances]


def measured(
    ways: Sequence[Way], load: Callable[[int], Any], inputs: Sequence[Any], seconds: float = SECONDS
) -> dict[Way, float]:
    """Predictions a second of each way, the mean of rounds that take turns.

    load: threads -> a predictor; inputs: one batch of them.
    """
    predictors = {way: load(way.threads) for way in ways}
    for predictor in predictors.values():
        predictor(inputs)  # the first time, memory is laid out
    rates: dict[Way, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, predictor in predictors.items():
            rates[way].append(_rate(predictor, inputs, way.instances, seconds))
    return {way: sum(found) / len(found) for way, found in rates.items()}


def _rate(predictor: Any, inputs: Sequence[Any], instances: int, seconds: float) -> float:
    """Predictions a second, of so many threads that each compute batch after batch."""
    end = time.perf_counter() + seconds
    done = [0] * instances

    def work(number: int) -> None:
        while time.perf_counter() < end:
            predictor(inputs)
            done[number] += len(inputs)

    began = time.perf_counter()
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(instances)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)
