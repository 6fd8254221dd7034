"""One bootstrap for all tasks: against SciPy's, and the same resamples for every model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluation import bootstrap


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(3).normal(5, 2, 200)
    ours = bootstrap.intervals(
        bootstrap.draw(lambda weights: {"mean": float(weights @ values / weights.sum())}, 200, 4000, 1)
    )["mean"]
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2))
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.03)


def test_resamples_are_the_same_for_every_model_and_count_every_draw() -> None:
    first, second = (list(bootstrap.resamples(30, 5, 9)) for _ in range(2))
    assert all(np.array_equal(one, two) for one, two in zip(first, second, strict=True))
    assert all(weights.sum() == 30 for weights in first)
    assert not np.array_equal(first[0], first[1])


def test_without_samples_the_interval_is_the_value() -> None:
    assert bootstrap.intervals(bootstrap.draw(lambda weights: {"error": 1.5}, 0, 10, 1)) == {"error": (1.5, 1.5)}


def test_each_input_is_left_out_once_and_many_in_groups() -> None:
    def left(weights: np.ndarray) -> dict[str, float]:
        return {"sum": float(weights @ np.arange(len(weights)))}

    assert sorted(bootstrap.left_out(left, 5, 1)["sum"]) == [6.0, 7.0, 8.0, 9.0, 10.0]
    sizes = bootstrap.left_out(lambda weights: {"inputs": float(weights.sum())}, 1001, 1)["inputs"]
    assert sorted(sizes) == [995.0] + [996.0] * 199
