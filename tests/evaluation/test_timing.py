"""Speeds measured on a machine that does other things, too: simulated, so that the truth is known."""

from __future__ import annotations

import gc
from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pytest
from noisy import machine

from evaluation import latency, timing
from evaluation.timing import BLOCKS, Ratio, Seconds

pytestmark = pytest.mark.usefixtures("frozen")
RUNS, ROUNDS = 100, 200


def timed(seed: int, patience_s: float = 0.0, **own: float) -> dict[str, Seconds]:
    """Candidates that take `own` seconds on an undisturbed machine."""
    clock = machine(seed)
    calls = {name: (lambda number, seconds=seconds: seconds * next(clock)) for name, seconds in own.items()}
    return timing.interleave(calls, ROUNDS, patience_s, seed)


def speeds(ratio: float) -> list[Ratio]:
    """Of the same two candidates, as `RUNS` noisy machines tell it; two others are timed beside them."""
    found = [timed(seed, first=0.01, second=0.01 / ratio, large=0.03, small=0.004) for seed in range(RUNS)]
    return [timing.ratio(seconds["first"], seconds["second"]) for seconds in found]


@pytest.mark.parametrize("planted", [1.05, 1 / 1.05])
def test_a_planted_difference_of_five_percent_is_found(planted: float) -> None:
    found = speeds(planted)
    assert sum(speed.differs and (speed.value > 1) == (planted > 1) for speed in found) >= 95


def test_a_planted_equality_is_called_no_difference() -> None:
    found = speeds(1.0)
    assert sum(not speed.differs for speed in found) >= 95
    assert sum(speed.low <= 1.0 <= speed.high for speed in found) >= 88  # of 95 intervals, less three deviations


def test_minutes_apart_the_same_machine_tells_another_story() -> None:
    """What this replaces: a candidate's calls one after the other; that simulation is harsh enough to fail it."""
    wrong = 0
    for seed in range(RUNS):
        clock = machine(seed)
        first, second = ([0.01 * next(clock) for _ in range(20)] for _ in range(2))
        wrong += abs(np.log(np.median(first) / np.median(second))) > timing.SAME
    assert wrong > 30


def test_every_round_has_every_candidate_once_in_an_order_of_its_own() -> None:
    order: list[tuple[int, str]] = []

    def call(name: str) -> timing.Call:
        return lambda number: order.append((number, name)) or 0.01  # type: ignore[func-returns-value]

    names = ("a", "b", "c")
    timing.interleave({name: call(name) for name in names}, 40, 0.0, 7)
    rounds = [[name for number, name in order if number == i] for i in range(40)]
    assert [number for number, _ in order] == sorted(number for number, _ in order)
    assert all(sorted(names_) == ["a", "b", "c"] for names_ in rounds)
    assert len({tuple(names_) for names_ in rounds}) == 6


def test_it_goes_on_while_the_interval_is_wide_and_time_is_left() -> None:
    still = timing.interleave({"a": lambda number: 0.01, "b": lambda number: 0.02}, ROUNDS, 60.0, 1)
    assert len(still["a"]) == ROUNDS
    assert astuple(timing.ratio(still["a"], still["b"])) == pytest.approx((0.5, 0.5, 0.5))
    assert len(timed(3, 60.0, a=0.01, b=0.01)["a"]) > ROUNDS
    assert len(timed(3, 0.0, a=0.01, b=0.01)["a"]) == ROUNDS


def test_a_machine_on_which_nothing_shows_is_told() -> None:
    rng = np.random.default_rng(5)
    wild = [np.exp(0.5 * rng.standard_normal(ROUNDS)) for _ in range(2)]
    assert timing.ratio(*wild).noisy
    assert not timing.ratio(wild[0], wild[0]).noisy


def test_no_garbage_is_collected_meanwhile_and_afterwards_it_is_again() -> None:
    gc.enable()
    try:
        seen = timing.interleave({"a": lambda number: float(gc.isenabled()) + 1.0}, BLOCKS, 0.0, 1)
        assert set(seen["a"]) == {1.0}
        assert gc.isenabled()
    finally:
        gc.disable()


def test_all_candidates_of_a_round_get_the_same_inputs_and_rounds_the_next_ones() -> None:
    given: dict[str, list[list[int]]] = {"a": [], "b": []}
    predictors = {name: calls.append for name, calls in given.items()}
    found = latency.measure(predictors, range(10), 4, 20, 0.0, 1)
    assert given["a"] == given["b"]
    counted = given["a"][latency.WARMUP :]
    assert len(counted) == len(found["a"]) == 20
    assert counted[:3] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert all((one[-1] + 1) % 10 == other[0] for one, other in pairwise(counted))


def test_where_sessions_have_threads_one_at_a_time_is_there() -> None:
    alive: list[str] = []

    class Session:
        def __init__(self, name: str):
            self.name, self.calls = name, 0
            alive.append(name)
            assert len(alive) == 1

        def __call__(self, given: object) -> None:
            self.calls += 1

        def __del__(self) -> None:
            alive.remove(self.name)
            assert self.calls == latency.WARMUP + 3

    found = latency.measure_alone({name: lambda name=name: Session(name) for name in "ab"}, range(10), 1, 3, 1)
    assert [len(found[name]) for name in "ab"] == [3 * BLOCKS] * 2
    assert not alive
