"""Who may use the machine: the searches of a checkout work side by side, and what is timed is alone.

A lock for readers and a writer out of two files: `shared` passes the turnstile and is in the room with others; `alone`
stays in the turnstile until the room is empty, so nobody comes in before it and it waits for those who are there only.
Both are locks of the kernel (flock(2)): whoever is killed has left.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Room:
    """Of all processes and threads that name the same folder."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._turnstile, self._room = folder / "turnstile.lock", folder / "room.lock"

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Wait until nobody is alone, nor waits to be; then be here with others."""
        with self._room.open("a") as room:  # open anew: a lock is of the opened file, not of the process
            with self._turnstile.open("a") as turnstile:
                fcntl.flock(turnstile, fcntl.LOCK_EX)
                fcntl.flock(room, fcntl.LOCK_SH)
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until all who are here have left; nobody comes in meanwhile."""
        with self._room.open("a") as room:
            with self._turnstile.open("a") as turnstile:
                fcntl.flock(turnstile, fcntl.LOCK_EX)
                fcntl.flock(room, fcntl.LOCK_EX)
            yield
