"""Numbers over time that are made here, as rows of a table, its header first.

seasonal   hours of a load with the period of a day, a slow trend, and the temperature that moves it, of some places
addition   sums of two numbers, bit by bit from the lowest: two bits a step, and that of the sum as its class
sine       the sine of equal steps from -3 pi to 3 pi, and the cosine of what was seen `LAG` steps before
"""

from __future__ import annotations

from typing import Any

import numpy as np

START = np.datetime64("2024-01-01T00", "h")
DAY = 24
LAG = 10
"""Of `sine`: steps by which the cosine comes behind, so that forecasting it is translating what was seen."""


def seasonal(count: int, steps: int, rng: np.random.Generator) -> list[list[Any]]:
    rows: list[list[Any]] = [["time", "place", "load", "temperature"]]
    hours = np.arange(steps)
    for place in range(count):
        drift = np.cumsum(rng.normal(0, 0.4, steps))
        warm = 12 + 6 * np.sin(2 * np.pi * (hours - 9) / DAY) + 0.5 * drift
        day = 10 * np.sin(2 * np.pi * (hours - 6 - place) / DAY) + 4 * np.sin(4 * np.pi * hours / DAY + place)
        load = 60 + 10 * place + day - 0.8 * warm + 0.01 * hours + rng.normal(0, 1, steps)
        rows += [
            [START + h, f"p{place + 1}", f"{a:.2f}", f"{b:.2f}"] for h, a, b in zip(hours, load, warm, strict=True)
        ]
    return rows


def addition(count: int, bits: int, rng: np.random.Generator) -> list[list[Any]]:
    """Different sums, as long as there are so many."""
    most = 2 ** (bits - 1)
    pairs = rng.permutation(most**2)[:count]
    rows: list[list[Any]] = [["sum", "a", "b", "bit"]]
    for a, b in zip((pairs // most).tolist(), (pairs % most).tolist(), strict=True):
        rows += [[f"{a}+{b}", a >> i & 1, b >> i & 1, a + b >> i & 1] for i in range(bits)]
    return rows


def sine(count: int, steps: int, rng: np.random.Generator) -> list[list[Any]]:
    x = np.linspace(-3 * np.pi, 3 * np.pi, steps)
    return [["sin", "cos"], *([repr(float(np.sin(a))), repr(float(np.cos(a - LAG * (x[1] - x[0]))))] for a in x)]


KINDS = {"seasonal": seasonal, "addition": addition, "sine": sine}
