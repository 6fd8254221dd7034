"""Which of two values of a metric is better: of an accuracy the higher, of an error the lower."""

from __future__ import annotations

import math
from typing import Literal

Better = Literal["higher", "lower"]


def sign(better: Better) -> int:
    """What a value is multiplied with so that more is better: 1 or -1."""
    return {"higher": 1, "lower": -1}[better]


def worst(better: Better) -> float:
    """The value that every other one beats."""
    return -sign(better) * math.inf


def loss(value: float, reference: float, better: Better) -> float:
    """By how much `value` is worse than `reference`; negative where it is better, nan where one of them is."""
    return (reference - value) * sign(better)


def words(better: Better) -> str:
    """For people: `lower is better`, and nothing where more is, as everybody expects."""
    return "lower is better" if sign(better) < 0 else ""
