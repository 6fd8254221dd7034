"""A machine that others use, too, as a clock for tests: what a call takes is its own time, made longer by what goes on.

Each of the disturbances was seen on shared machines: clocks that step up and down for a while, a load that comes and
goes slowly, calls that are interrupted, and a little of each call's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

DRIFT, REMEMBERED = 0.1, 0.995
"""Of a slow load: its standard deviation as a logarithm, and how much of it the next call still has."""
STEP, LASTS = 1.3, 400
"""How much slower the slow clock is, and how many calls it lasts on the average."""
INTERRUPTED, LONGER = 0.08, 0.7
"""Share of calls that are interrupted, and by how many times their own length on the average."""
OWN = 0.05


def machine(seed: int) -> Iterator[float]:
    """Factors of the times of successive calls, whichever candidate they are of."""
    rng = np.random.default_rng(seed)
    load, slow = 0.0, False
    while True:
        load = REMEMBERED * load + math.sqrt(1 - REMEMBERED**2) * DRIFT * rng.standard_normal()
        slow ^= bool(rng.random() < 1 / LASTS)
        hit = rng.exponential(LONGER) if rng.random() < INTERRUPTED else 0.0
        yield math.exp(load + OWN * rng.standard_normal()) * (STEP if slow else 1.0) * (1 + hit)
