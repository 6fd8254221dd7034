"""Another sampling rate by a polyphase filter: a sinc below both Nyquist frequencies in a Kaiser window.

Oppenheim and Schafer 2010, Discrete-Time Signal Processing, section 4.6; length and window are those of
`scipy.signal.resample_poly`, which a server does not have.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

REACH = 10
"""Of the filter to each side, in samples of the slower rate."""
BETA = 5.0
"""Of Kaiser's window."""
FINEST = 2000
"""Largest denominator of a ratio of rates: exact between usual ones, and a filter that a header cannot make huge."""


def resample(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """(T,) at `rate` -> (ceil(T * wanted / rate),) at `wanted` Hz."""
    if rate == wanted:
        return samples
    up, down = Fraction(wanted, rate).limit_denominator(FINEST).as_integer_ratio()
    phases = _phases(up, down)
    taps, half = phases.shape[1], REACH * max(up, down)
    count = -(-len(samples) * up // down)
    places = np.arange(count) * down + half
    newest, phase = places // up, places % up
    padded = np.pad(samples, (taps, max(0, int(newest[-1]) + 1 - len(samples))))
    found = np.zeros(count, np.float32)
    for tap in range(taps):  # one product a tap: memory does not grow with the filter
        found += phases[phase, tap] * padded[newest + taps - tap]
    return found


@lru_cache(16)
def _phases(up: int, down: int) -> NDArray[np.float32]:
    """(up, taps): the filter, cut into those that meet samples that stand `up` apart."""
    half = REACH * max(up, down)
    n = np.arange(-half, half + 1)
    low = np.sinc(n / max(up, down)) * np.kaiser(2 * half + 1, BETA)
    low *= up / low.sum()
    return np.pad(low, (0, -len(low) % up)).reshape(-1, up).T.astype(np.float32)
