"""The gate by simulation: pairs of models of which the truth is known, on a machine that does other things, too."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from candidate_rows import row
from noisy import machine
from numpy.typing import NDArray

from core.params import BudgetParams
from evaluation import bootstrap, candidates, gate, inferiority, timing

pytestmark = pytest.mark.usefixtures("frozen")
INPUTS, RESAMPLES, ROUNDS, MACHINES = 200, 200, 200, 200
RIGHT, GAINED = 0.8, 0.2
"""Share of inputs that the reference gets right, and of its errors the share that the other one does not make."""
MARGIN = 0.05
BUDGET = BudgetParams(max_mb=10.0, max_ms=50.0, max_loss=MARGIN, worst_quality=0.1)


def pair(rng: np.random.Generator, lost: float) -> list[NDArray[np.float64]]:
    """(INPUTS,) each: what two models get right, of which the second is worse by `lost` in the long run."""
    first = rng.random(INPUTS) < RIGHT
    spoilt = (lost + GAINED * (1 - RIGHT)) / RIGHT
    second = np.where(first, rng.random(INPUTS) >= spoilt, rng.random(INPUTS) < GAINED)
    return [first.astype(float), second.astype(float)]


WEIGHTS = {
    "bootstrap": np.array(list(bootstrap.resamples(INPUTS, RESAMPLES, 1))),
    "jackknife": 1.0 - np.eye(INPUTS),
}


def drawn(right: NDArray[np.float64]) -> dict[str, Any]:
    """As `evaluate` writes it, of the accuracy: all resamples at once, since thousands of models are scored here."""
    return {kind: weights @ right / weights.sum(axis=1) for kind, weights in WEIGHTS.items()}


@cache
def timed(machine_seed: int, ratio: float) -> dict[str, timing.Seconds]:
    """Two models, the second `ratio` times as fast."""
    clock = machine(machine_seed)
    calls = {"a": lambda number: 0.01 * next(clock), "b": lambda number: 0.01 / ratio * next(clock)}
    return timing.interleave(calls, ROUNDS, 0.0, machine_seed)


def promoted(pairs: int, lost: float, ratio: float) -> float:
    """Share of pairs in which the gate takes the challenger, which is `ratio` times as fast and as large."""
    rng, taken = np.random.default_rng(1), 0
    for number in range(pairs):
        models, seconds = pair(rng, lost), timed(number % MACHINES, ratio)
        rows = [row(name, float(right.mean()), 10, 1) for name, right in zip("ab", models, strict=True)]
        candidates.mark_losses(rows, [drawn(right) for right in models], "higher")

        def faster(one: dict[str, Any], other: dict[str, Any]) -> timing.Ratio:
            return timing.ratio(*(seconds[each["variant"]] for each in (one, other)))  # noqa: B023

        for each in rows:
            each["speed"] = faster(rows[0], each).as_json()
        taken += gate.choose(rows, BUDGET, "higher", faster) is rows[1]
    return taken / pairs


def test_of_a_thousand_equal_pairs_few_challengers_are_promoted() -> None:
    assert promoted(1000, lost=0.0, ratio=1.0) <= 0.05


def test_a_faster_one_that_loses_the_margin_is_rarely_promoted() -> None:
    assert promoted(1000, lost=MARGIN, ratio=1.3) <= 0.05


def test_a_faster_one_that_loses_nothing_is_promoted_more_often_than_not() -> None:
    assert promoted(100, lost=0.0, ratio=1.3) > 0.5


def test_among_many_candidates_none_passes_by_luck() -> None:
    """Five that lose the margin: one of them passes in a twentieth of all comparisons, not each of them."""
    rng, passed, comparisons = np.random.default_rng(2), 0, 4000
    spoilt = (MARGIN + GAINED * (1 - RIGHT)) / RIGHT
    for _ in range(comparisons):
        first, _ = pair(rng, 0.0)
        bounds = []
        for _ in range(5):
            other = np.where(first > 0, rng.random(INPUTS) >= spoilt, rng.random(INPUTS) < GAINED).astype(float)
            own, others = drawn(other), drawn(first)
            bounds.append(inferiority.loss(float(other.mean()), float(first.mean()), own, others, "higher", 5).bound)
        passed += min(bounds) <= MARGIN
    assert passed / comparisons <= 0.05


def test_a_difference_rests_on_the_inputs_that_tell_two_models_apart() -> None:
    same, few, many = np.zeros(100), np.zeros(100), np.tile([0.0, 1.0], 50)
    few[:4] = 1.0
    assert inferiority.telling(same) == 100
    assert inferiority.telling(few) == pytest.approx(4, rel=0.1)
    assert inferiority.telling(many) == pytest.approx(100)


@pytest.mark.parametrize(("better", "loss"), [("higher", 0.1), ("lower", -0.1)])
def test_a_loss_is_counted_the_way_the_metric_is_better(better: Any, loss: float) -> None:
    own, others = ({"bootstrap": [v, v + 0.01, v - 0.01], "jackknife": [v, v]} for v in (0.4, 0.5))
    found = inferiority.loss(0.4, 0.5, own, others, better)
    assert found.value == pytest.approx(loss)
    assert found.bound == pytest.approx(loss)  # all pairs differ by the same
    with pytest.raises(ValueError, match="could not be broadcast"):
        inferiority.loss(0.4, 0.5, own | {"bootstrap": [0.4, 0.41]}, others, better)
