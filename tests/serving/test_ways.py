"""How many batches are computed side by side, and by how many threads each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from running import Running

from serving import cores
from serving.settings import parse
from serving.ways import Way, candidates, choose, measured


@pytest.mark.parametrize(
    "workers, instances, threads, found, expected",
    [
        (None, None, None, 2, Way(1, 1, 2)),
        (None, None, None, 1, Way(1, 1, 1)),
        (None, None, None, 24, Way(1, 3, 8)),
        (None, None, 1, 4, Way(1, 1, 4)),
        (None, None, 3, 4, Way(1, 3, 1)),
        (None, None, 0, 4, Way(1, 0, 1)),
        (None, None, 8, 4, Way(1, 8, 1)),
        (None, 2, None, 8, Way(2, 4, 1)),
        (None, 4, None, 2, Way(4, 1, 1)),
        (None, 3, 5, 2, Way(3, 5, 1)),
        (1, None, None, 2, Way(2, 1, 1)),
        (1, None, None, 24, Way(8, 3, 1)),
        (1, None, 1, 4, Way(4, 1, 1)),
        (2, None, None, 8, Way(1, 4, 2)),
        (2, 2, None, 8, Way(2, 2, 2)),
        (4, None, None, 2, Way(1, 1, 4)),
    ],
)
def test_what_is_not_given_follows_from_the_cores(
    workers: int | None, instances: int | None, threads: int | None, found: int, expected: Way
) -> None:
    assert choose(instances, threads, found, workers) == expected


def test_workers_share_cores_that_they_can_tell_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 2, 3, 5, 7})
    assert cores.shares(2, tmp_path) == [{1, 2}, {3, 5, 7}]
    assert cores.shares(5, tmp_path) == [{1}, {2}, {3}, {5}, {7}]
    assert cores.shares(6, tmp_path) == []
    (tmp_path / "cpu.max").write_text("200000 100000\n")  # of all cores, whichever are free
    assert cores.shares(2, tmp_path) == []


def test_a_gpu_computes_one_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "available", lambda: 16)
    assert parse(["p", "--provider", "CUDAExecutionProvider"])[0].way == Way(1, 0)
    assert parse(["p", "--measure"])[0].measure


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    mine = len(os.sched_getaffinity(0))
    assert cores.available(tmp_path) == mine
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores.available(tmp_path) == mine
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert cores.available(tmp_path) == 1
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    for name, value in (("quota", "50000"), ("period", "100000")):
        (tmp_path / "cpu" / f"cpu.cfs_{name}_us").write_text(f"{value}\n")
    assert cores.available(tmp_path) == 1


def test_the_measurement_tells_which_way_is_fastest() -> None:
    """One model that computes for one at a time, and another that sleeps beside others of its kind."""
    assert candidates(4) == [Way(1, 4), Way(2, 2), Way(4, 1)]
    lock = threading.Lock()

    def alone(threads: int) -> Callable[[Sequence[int]], None]:
        def predict(inputs: Sequence[int]) -> None:
            with lock:
                time.sleep(0.004 / threads)

        return predict

    def beside(threads: int) -> Callable[[Sequence[int]], None]:
        return lambda inputs: time.sleep(0.004)

    for load, best in ((alone, Way(1, 4)), (beside, Way(4, 1))):
        rates = measured(candidates(4), load, [0], seconds=0.05)
        assert max(rates, key=lambda way: rates[way]) == best


@pytest.mark.slow
def test_a_server_measures_at_the_start_where_asked(packages: dict[str, Path], serve: Callable[..., Running]) -> None:
    running = serve(packages["detection"], "--measure", threads=None)
    running.wait_until_ready()
    found: dict[str, Any] = running.wait_for("measured")
    ways = [(way["instances"], way["threads"]) for way in found["tried"]]
    assert ways == [(way.instances, way.threads) for way in candidates(cores.available())]
    assert (found["instances"], found["threads"]) in ways
    assert all(way["rate"] > 0 for way in found["tried"])
