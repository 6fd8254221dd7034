"""DVC's own locks, under which everything is mended: a live DVC is not disturbed."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ops.repair.places import TEMPORARY

WAIT_S = 0.5
"""How long something damaged waits for DVC's lock. A healthy repository waits for nothing."""


@contextmanager
def held(name: str, wait: float = WAIT_S) -> Iterator[bool]:
    """DVC's lock `name`, taken as zc.lockfile does but without writing into it; False when a live process holds it."""
    try:
        file = os.open(TEMPORARY / name, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True  # DVC makes it before all else
        return
    try:
        yield _locked(file, wait)
    finally:
        os.close(file)


def _locked(file: int, wait: float) -> bool:
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:  # held, or not to be had: zc.lockfile makes no difference either
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
