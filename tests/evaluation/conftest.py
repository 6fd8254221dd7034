"""What simulations need: thousands of measurements in a process that holds all libraries."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(scope="session")
def frozen() -> None:
    """Each measurement begins with a garbage collection, which is not to look at every object of every library."""
    gc.collect()
    gc.freeze()
