"""What the model alone can do: a loop over the Predictor in several processes at once, without a server.

Each is `python -m benchmarks.serving.bare PACKAGE THREADS`, which computes for as long as a line on its input says.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.serving.subject import ROOT, Subject, subject
from serving.ways import Way


class Loops:
    """Processes that compute when they are told."""

    def __init__(self, processes: list[subprocess.Popen[str]]):
        self._processes = processes

    def rate(self, seconds: float, batch: int = 1) -> float:
        """Predictions a second of all of them together."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{seconds} {batch}\n")
            process.stdin.flush()
        return sum(map(_answer, self._processes))


def _answer(process: subprocess.Popen[str]) -> float:
    assert process.stdout is not None
    if not (line := process.stdout.readline()):
        raise SystemExit("a bare loop has ended; what it said stands above")
    return float(line)


@contextmanager
def loops(given: Subject, way: Way) -> Iterator[Loops]:
    """As many processes as the server computes batches side by side, each with their threads."""
    command = [sys.executable, "-m", "benchmarks.serving.bare", str(given.package), str(way.threads)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
        for _ in range(way.together)
    ]
    try:
        made = Loops(processes)
        made.rate(0.5)
        yield made
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def loop(predictor: Any, inputs: list[Any], seconds: float, batch: int) -> float:
    """Predictions a second, files read already and decoded as the server does."""
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        predictor([inputs[(done + i) % len(inputs)] for i in range(batch)])
        done += batch
    return done / spent


def main() -> None:
    given, threads = subject(Path(sys.argv[1])), int(sys.argv[2])
    inputs = [value.read_bytes() if isinstance(value, Path) else value for value in given.inputs]
    predictor = given.predictor(threads)
    for line in sys.stdin:
        seconds, batch = line.split()
        print(loop(predictor, inputs, float(seconds), int(batch)), flush=True)


if __name__ == "__main__":
    main()
