"""How a server uses the cores: so many processes, in each so many batches side by side, each with so many of ONNX
Runtime's threads.

By itself each core has a process of its own that computes a batch on it. Threads that share a batch wait for each other
at every operator; batches that are computed side by side in one process share Python's lock and its objects, which then
travel from one core's cache to the other's and back for every request. Where that is not the best, a measurement tells.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MOST = 8
"""Workers, or instances, that are chosen: each needs memory for what the network has between its layers, a worker for
the model, too; cores beyond become threads of theirs."""
SECONDS = 0.5
"""Of one round of a measurement, of which each way has `ROUNDS` in turn."""
ROUNDS = 2


@dataclass(frozen=True)
class Way:
    instances: int
    """Batches of a model that one worker computes side by side."""
    threads: int
    """Of ONNX Runtime, for one batch; 0: as many as it finds cores."""
    workers: int = 1
    """Processes, each of which serves every model."""

    @property
    def together(self) -> int:
        """Batches of a model side by side, in all workers."""
        return self.workers * self.instances


def choose(instances: int | None, threads: int | None, cores: int, workers: int | None = None) -> Way:
    """What is not given follows from what is, so that as many threads compute as there are cores. Who asks for
    `instances`, or for all cores for one batch, gets them in one process."""
    if workers is None:
        workers = 1 if instances is not None or threads == 0 else most(cores, threads)
    own = max(1, cores // workers)
    if instances is None:
        instances = 1 if workers > 1 or threads == 0 else most(own, threads)
    return Way(instances, max(1, own // instances) if threads is None else threads, workers)


def most(cores: int, threads: int | None) -> int:
    """How many go side by side of which each computes with so many threads; None: one."""
    return max(1, min(MOST, cores // (threads or 1)))


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
