"""Whether a candidate loses no more quality than a margin against a reference: a paired non-inferiority test.

Both were scored on the same resamples of one split, so the difference of two values is the difference on one resample,
and what is easy or hard in the split drops out. The loss that was seen plus a one-sided bound of its standard error
(Efron and Tibshirani 1993, section 12.5) is the largest loss that cannot be ruled out; a candidate passes when that is
within the margin (Piaggio et al. 2012, JAMA 308(24), doi:10.1001/jama.2012.87802). The level is divided by the number
of candidates (Bonferroni), or with many of them one would pass by luck. The standard error is the larger one of
bootstrap and jackknife: a few hundred resamples know theirs to some percent only.

Two models mostly do the same, so a difference rests on the few inputs that tell them apart, and its standard error is
known no better than their number allows. Student's t gets the degrees of freedom of that number, told from the
jackknife by the weights' formula of Kish (1965, Survey Sampling, section 11.7): in simulations of 60 to 500 inputs that
are right or wrong, a level of 1 to 5 % was exceeded by up to three quarters with the normal distribution, and with this
one by a tenth, of 60 inputs only.

Where a few inputs differ by far more than the others the formula tells hardly any, although the test is then rather
too strict already; so it never counts less than `FEWEST`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.better import Better, sign
from core.better import loss as worse_by

ALPHA = 0.05
"""Chance that one of all candidates passes which loses the margin in truth."""
FEWEST = 10.0
"""Degrees of freedom at least."""

Resamples = Mapping[str, Sequence[float]]
"""`bootstrap` and `jackknife`: the metric on the same resamples for every model."""


@dataclass(frozen=True)
class Loss:
    """Of quality against the reference, in units of the metric; negative where the candidate is better."""

    value: float
    """As seen."""
    bound: float
    """The largest that the split does not rule out."""


def loss(
    value: float, reference: float, own: Resamples, others: Resamples, better: Better, candidates: int = 1
) -> Loss:
    """own, others: of the candidate and of the reference, in the same order; candidates: how many are tested.

    Raises: ValueError when these are no pairs.
    """
    from scipy.stats import t

    seen = worse_by(value, reference, better)
    differences, parts = (np.subtract(others[kind], own[kind]) * sign(better) for kind in ("bootstrap", "jackknife"))
    quantile = float(t.ppf(1 - ALPHA / max(1, candidates), max(FEWEST, telling(parts) - 1)))
    return Loss(seen, seen + quantile * max(float(differences.std()), jackknife_error(parts)))


def jackknife_error(parts: NDArray[np.float64]) -> float:
    """Standard error (Efron and Tibshirani 1993, equation 11.5). parts: (G,) a figure without each part of a split."""
    return float(np.sqrt((len(parts) - 1) / len(parts) * ((parts - parts.mean()) ** 2).sum()))


def telling(parts: NDArray[np.float64]) -> float:
    """How many parts of a split the difference rests on. parts: (G,) the difference without each of them."""
    weights = (parts - parts.mean()) ** 2
    return float(weights.sum() ** 2 / (weights**2).sum()) if weights.any() else float(len(parts))
