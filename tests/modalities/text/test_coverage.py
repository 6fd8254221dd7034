"""The coverage penalty against its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modalities.text.predict.coverage import coverage


def test_it_is_the_formula_of_the_paper() -> None:
    weights = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1]])
    assert coverage(weights) == pytest.approx(math.log(0.5) + math.log(0.2))  # the first got 1.3, which counts as 1
    assert coverage(np.eye(3)) == 0.0
    assert math.isfinite(coverage(np.array([[1.0, 0.0]], np.float32))) and coverage(np.array([[1.0, 0.0]])) < -80
