"""Shares of training inputs by bin, and the population stability index against figures made by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from core.files import read_json, write_json
from ops.drift import BINS, LEAST, bin_of, psi, statistics


def edges_and_shares(values: list[float]) -> tuple[list[float], list[float]]:
    made = statistics([{"x": value} for value in values])
    assert made["count"] == len(values)
    return made["features"]["x"]["edges"], made["features"]["x"]["shares"]


def counts(edges: list[float], values: list[float]) -> list[float]:
    return np.bincount([bin_of(edges, value) for value in values], minlength=len(edges) + 1).tolist()


def test_the_index_by_hand() -> None:
    """Siddiqi's sum over bins of (new - old) ln(new / old)."""
    by_hand = (0.2 - 0.5) * math.log(0.2 / 0.5) + (0.3 - 0.3) * 0 + (0.5 - 0.2) * math.log(0.5 / 0.2)
    assert psi([0.5, 0.3, 0.2], [20, 30, 50]) == pytest.approx(by_hand)
    assert by_hand == pytest.approx(0.5498, abs=1e-4)


def test_equal_shares_have_none_whatever_their_number() -> None:
    assert psi([0.25, 0.75], [1, 3]) == 0
    assert psi([0.25, 0.75], [1000, 3000]) == 0
    assert psi([0.5, 0.0, 0.5], [7, 0, 7]) == 0


def test_empty_bins_count_as_a_small_share() -> None:
    """Else the index would be infinite, or no number."""
    gone = (LEAST - 0.5) * math.log(LEAST / 0.5) + (1 - 0.5) * math.log(1 / 0.5)
    assert psi([0.5, 0.5], [0, 9]) == pytest.approx(gone)
    new = (1 - LEAST) * math.log(1 / LEAST) + (LEAST - 1) * math.log(LEAST / 1)
    assert psi([0.0, 1.0], [9, 0]) == pytest.approx(new)


def test_the_index_grows_with_the_shift() -> None:
    values = np.random.default_rng(0).normal(size=5000)
    edges, shares = edges_and_shares(values.tolist())
    found = [psi(shares, counts(edges, (values + shift).tolist())) for shift in (0.0, 0.1, 0.3, 1.0)]
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found == sorted(found)
    assert found[1] < 0.1  # stable
    assert found[3] > 0.25  # drifted


def test_bins_are_quantiles() -> None:
    edges, shares = edges_and_shares(list(range(1, 101)))
    assert len(edges) == BINS - 1
    assert edges == pytest.approx([10.9, 20.8, 30.7, 40.6, 50.5, 60.4, 70.3, 80.2, 90.1])
    assert shares == [0.1] * 10
    assert (bin_of(edges, 10.8), bin_of(edges, 10.9), bin_of(edges, 1e9), bin_of(edges, -1e9)) == (0, 1, 9, 0)


@pytest.mark.parametrize("value", [0.0, 4.0, 640.0, 1 / 3, 1e-9, -7.5])
def test_what_was_constant_has_drifted_when_it_changes(value: float) -> None:
    """Upwards as well as down: pictures of another size, texts with digits where none were."""
    edges, shares = edges_and_shares([value] * 50)
    assert psi(shares, counts(edges, [value] * 200)) == 0
    for other in (value + 1e-6, value - 1e-6, value + 1000, value - 1000):
        assert psi(shares, counts(edges, [other] * 200)) > 0.25


def test_a_value_that_most_share() -> None:
    values = [1.0] * 10 + [2.0] * 90
    edges, shares = edges_and_shares(values)
    assert psi(shares, counts(edges, values)) == 0
    assert psi(shares, counts(edges, [1.0] * 100)) > 0.25
    assert psi(shares, counts(edges, [3.0] * 100)) > 0.25
    assert psi(shares, counts(edges, [1.5] * 100)) > 0.25


def test_small_integers() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(3, 9, 600).astype(float).tolist()
    edges, shares = edges_and_shares(values)
    assert psi(shares, counts(edges, rng.integers(3, 9, 600).astype(float).tolist())) < 0.1
    assert psi(shares, counts(edges, rng.integers(4, 10, 600).astype(float).tolist())) > 0.25


def test_shares_sum_to_one_for_every_feature() -> None:
    rows = [{"a": float(i % 3), "b": float(i) ** 2, "c": 0.0} for i in range(31)]
    made = statistics(rows)["features"]
    assert list(made) == ["a", "b", "c"]
    for feature in made.values():
        assert sum(feature["shares"]) == pytest.approx(1, abs=1e-5)
        assert len(feature["shares"]) == len(feature["edges"]) + 1
        assert feature["edges"] == sorted(set(feature["edges"]))


def test_no_training_inputs_have_no_features() -> None:
    assert statistics([]) == {"count": 0, "features": {}}


def test_statistics_are_the_same_after_they_were_written(tmp_path: Path) -> None:
    made = statistics([{"x": value} for value in np.random.default_rng(0).normal(size=100).tolist() + [1 / 3] * 50])
    write_json(tmp_path / "statistics.json", made)
    assert read_json(tmp_path / "statistics.json") == made
