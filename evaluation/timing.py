"""Candidates timed against each other: all of them in every round, on the same inputs, in random order.

What else a machine does then meets all of them alike, and a quotient of two candidates' times within a round is free of
it, as far as it lasts longer than a round. Calls that were disturbed by something shorter are kept out by medians.

The speed of a candidate is a ratio: the reference's time over its own, 1.2 is a fifth faster. Rounds are cut into
`BLOCKS` successive blocks; each gives a median of the logarithms of its ratios, and their mean has a t interval
(non-overlapping batch means, Law 2015, Simulation Modeling and Analysis, 5th edition, section 9.5.3), which also holds
when successive rounds resemble each other. Rounds are added until the interval is narrow enough: it is looked at how
wide it is, never where it lies, so looking often makes no difference appear.

Shapes: `C` candidates, `R` rounds, `B` blocks.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
Call = Callable[[int], float]
"""Number of the round, which says on what inputs -> seconds that it took."""
BLOCKS = 20
T_975 = 2.0930240544
"""Student's t at 97.5 % with `BLOCKS` - 1 degrees of freedom."""
WIDTH = math.log(1.01)
"""Half an interval of a logarithm at which no more rounds are needed: 1 %."""
SAME = math.log(1.03)
"""What is nearer than 3 % is no difference that anybody chooses a model for."""
CHECKED = 0.25
"""Share of the rounds that were asked for after which the width is looked at again."""


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as another, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether this is a difference: the interval leaves 1 out, and it is more than 3 %."""
        return (self.low > 1.0 or self.high < 1.0) and abs(math.log(self.value)) > SAME

    @property
    def noisy(self) -> bool:
        """Whether the interval is so wide that a difference of 3 % hides in it.

        The machine did too much else, or the two differ from input to input.
        """
        return math.log(self.high / self.low) / 2 > SAME

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "differs": self.differs, "noisy": self.noisy}


def interleave(calls: Mapping[str, Call], rounds: int, patience_s: float, seed: int) -> dict[str, Seconds]:
    """Time all `calls` in every round, in an order that is drawn anew; the first one is the reference.

    rounds: at least so many. patience_s: how long to go on beyond them while an interval is wider than `WIDTH`.
    Returns: (R,) seconds of each call, R a multiple of `BLOCKS`.
    """
    rng = np.random.default_rng(seed)
    names = list(calls)
    taken: dict[str, list[float]] = {name: [] for name in names}
    done, wanted, ends = 0, up_to_blocks(rounds), math.inf
    with quiet():
        while True:
            for number in range(done, wanted):
                for i in rng.permutation(len(names)):
                    taken[names[i]].append(calls[names[i]](number))
            done, now = wanted, time.monotonic()
            ends = min(ends, now + patience_s)
            seconds = {name: np.array(values) for name, values in taken.items()}
            if now >= ends or widest(seconds) <= WIDTH:
                return seconds
            wanted += up_to_blocks(round(CHECKED * rounds))


def up_to_blocks(rounds: int) -> int:
    """The next multiple of `BLOCKS`."""
    return BLOCKS * math.ceil(rounds / BLOCKS)


def widest(seconds: Mapping[str, Seconds]) -> float:
    """Half the widest interval, as a logarithm, of all candidates against the first."""
    first, *others = seconds.values()
    return max((_interval(first, other)[1] for other in others), default=0.0)


def ratio(reference: Seconds, other: Seconds) -> Ratio:
    """How many times as fast as `reference` the other is; both (R,), of the same rounds."""
    middle, half = _interval(reference, other)
    return Ratio(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


def level(seconds: Seconds) -> tuple[float, float, float]:
    """Seconds of a call and its 95 % interval: the mean of the logarithms of what its blocks say. seconds: (R,)."""
    return _around(np.log(blocks(seconds)))


def blocks(seconds: Seconds) -> Seconds:
    """(BLOCKS,) medians of successive calls."""
    return np.median(seconds.reshape(BLOCKS, -1), axis=1)


def ratio_of_blocks(reference: Seconds, other: Seconds) -> Ratio:
    """As `ratio`, from what `blocks` says of both."""
    return Ratio(*_around(np.log(reference) - np.log(other)))


def _around(logarithms: Seconds) -> tuple[float, float, float]:
    middle, half = _mean(logarithms)
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def _mean(blocks: Seconds) -> tuple[float, float]:
    """The mean and half its interval. blocks: (BLOCKS,)."""
    return float(blocks.mean()), T_975 * float(blocks.std(ddof=1)) / math.sqrt(BLOCKS)


def _interval(reference: Seconds, other: Seconds) -> tuple[float, float]:
    """Logarithm of the ratio and half its interval."""
    return _mean(np.median((np.log(reference) - np.log(other)).reshape(BLOCKS, -1), axis=1))


@contextmanager
def quiet() -> Iterator[None]:
    """Without garbage collection, which would meet whoever is being timed when it is due; within another one it is off
    already, and nothing is collected anew."""
    if not gc.isenabled():
        yield
        return
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def summary(seconds: Seconds, size: int) -> dict[str, float]:
    """`median_ms` and `p99_ms` of a call, and `per_second`: inputs a second at the median. size: inputs of a call."""
    median = float(np.median(seconds))
    return {
        "median_ms": 1000 * median,
        "p99_ms": 1000 * float(np.percentile(seconds, 99)),
        "per_second": size / median,
    }
