"""Whether held-out splits look like the train split: how often things occur, and how figures are distributed.

A difference is told when it is both large and no chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

DISTANCE = 0.2
"""Total variation of shares, or Kolmogorov-Smirnov distance of figures (0 to 1), up to which nothing is told."""
CHANCE = 0.001
"""Distances that chance makes at least this often are not told."""


def of_shares(split: str, held: Counter[str], train: Counter[str], kinds: str, things: str) -> list[str]:
    """Pearson's chi-squared test of two counts by name. kinds: what is counted ("classes"); things: its members
    ("boxes"). Returns: no sentence or one."""
    from scipy.stats import chi2_contingency

    names = [name for name in train | held if train[name] or held[name]]
    table = np.array([[counts[name] for name in names] for counts in (train, held)])
    if not table.sum(1).all():
        return []
    shares = table / table.sum(1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if distance <= DISTANCE or chi2_contingency(table).pvalue >= CHANCE:
        return []
    worst = int(np.abs(shares[0] - shares[1]).argmax())
    return [
        f"{kinds} of {split} differ in frequency from train's: {names[worst]!r} is {shares[1][worst]:.0%} of the "
        f"{things} there and {shares[0][worst]:.0%} in train (total variation {distance:.2f})"
    ]


def of_figures(
    split: str, held: ArrayLike, train: ArrayLike, things: str, figure: str, told: Callable[[float], str], unit: str
) -> list[str]:
    """Two-sample Kolmogorov-Smirnov test. things, figure, unit: "boxes", "size", "of the image's side"; told: how a
    median is written. Returns: no sentence or one."""
    from scipy.stats import ks_2samp

    one, other = np.asarray(train, float), np.asarray(held, float)
    if not len(one) or not len(other):
        return []
    test = ks_2samp(one, other)
    if test.statistic <= DISTANCE or test.pvalue >= CHANCE:
        return []
    medians = " and ".join(told(float(np.median(values))) for values in (other, one))
    return [
        f"{things} of {split} differ in {figure} from train's: medians {medians} {unit} "
        f"(Kolmogorov-Smirnov {test.statistic:.2f})"
    ]
