"""How often a property is tried: the same few examples whenever tests run, many new ones with `-m slow`."""

from __future__ import annotations

import pytest
from hypothesis import settings


def tiers(quick: int, slow: int) -> pytest.MarkDecorator:
    """The argument `tries` decorates what `given` made."""
    few = settings(max_examples=quick, derandomize=True, deadline=None)
    many = settings(max_examples=slow, deadline=None, print_blob=True)
    params = [
        pytest.param(few, id="quick"),
        pytest.param(many, id="slow", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ]
    return pytest.mark.parametrize("tries", params)
