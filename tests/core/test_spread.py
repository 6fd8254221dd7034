"""A few of many are spread evenly."""

from __future__ import annotations

import pytest

from core.spread import spread


@pytest.mark.parametrize(
    ("count", "most", "chosen"),
    [(10, 5, [0, 2, 4, 6, 8]), (7, 3, [0, 2, 4]), (3, 5, [0, 1, 2]), (0, 5, []), (4, 0, [])],
)
def test_positions_are_spread_evenly(count: int, most: int, chosen: list[int]) -> None:
    assert spread(count, most) == chosen
