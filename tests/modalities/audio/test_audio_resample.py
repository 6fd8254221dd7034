"""Resampling is that of SciPy, which a server does not have."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.signal import resample_poly

from modalities.audio.inputs.resample import resample


@pytest.mark.parametrize(("rate", "wanted"), [(16_000, 8000), (44_100, 16_000), (8000, 11_025), (8000, 48_000)])
def test_it_is_scipys(rate: int, wanted: int) -> None:
    samples = np.random.default_rng(1).normal(0, 0.3, 1000).astype(np.float32)
    found = resample(samples, rate, wanted)
    np.testing.assert_allclose(found, resample_poly(samples.astype(np.float64), wanted, rate), atol=2e-6)


def test_a_ratio_that_a_stranger_states_makes_no_huge_filter() -> None:
    tracemalloc.start()
    found = resample(np.zeros(38_399, np.float32), 383_999, 8000)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert abs(len(found) - 800) <= 1 and most < 10**7


def test_what_is_above_half_the_new_rate_is_gone() -> None:
    tone = np.sin(2 * np.pi * 6000 * np.arange(16_000) / 16_000).astype(np.float32)
    assert np.abs(resample(tone, 16_000, 8000)[100:-100]).max() < 0.01
