"""System metrics of a stage: CPU and memory of its process, sampled by a quiet thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from core.errors import StillhouseError

INTERVAL_S = 5.0


@contextmanager
def sampled(run: Any, besides: int) -> Iterator[None]:
    """Log `system/...` metrics of this process and its children every few seconds, and once at the end.

    besides: process id of a child that is no part of the work.
    """
    process = psutil.Process()
    process.cpu_percent()  # the first call only starts the measurement
    done = threading.Event()
    steps = iter(range(10**9))

    def sample() -> None:
        family = [process, *(child for child in process.children(recursive=True) if child.pid != besides)]
        memory = sum(_memory(member) for member in family)
        run.metrics({"system/cpu_percent": process.cpu_percent(), "system/memory_mb": memory / 1e6}, next(steps))

    def loop() -> None:
        with suppress(StillhouseError):  # a full disk: the stage is told by whatever it logs next, here or at the end
            while not done.wait(INTERVAL_S):
                sample()

    thread = threading.Thread(target=loop, name="system-metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        with suppress(StillhouseError):  # nor does it hide how the stage ended
            sample()


def _memory(process: psutil.Process) -> int:
    """Resident bytes, of shared ones its share: a fork has pages of the process that imported for it. 0 for a child
    that has ended meanwhile."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
