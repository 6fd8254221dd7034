"""Who may use the machine: the searches of a checkout work side by side, and what is timed is alone.

A lock for readers and a writer out of two files: `shared` passes the turnstile and is in the room with others; `alone`
stays in the turnstile until the room is empty, so nobody comes in before it and it waits for those who are there only.
Both are locks of the kernel (flock(2)): whoever is killed has left. Who waits for one asks again and again, since a
thread that sleeps in the kernel could not be told to give up.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

ASK_S = 0.05
"""Between two questions whether a lock is free."""


class StoppedError(Exception):
    """The search ends, and with it the trial; the next search goes on with it."""


class Room:
    """Of all processes and threads that name the same folder."""

    def __init__(self, folder: Path, stopped: threading.Event | None = None):
        """stopped: when it is set, who waits gives up with StoppedError."""
        folder.mkdir(parents=True, exist_ok=True)
        self._turnstile, self._room = folder / "turnstile.lock", folder / "room.lock"
        self._stopped = stopped or threading.Event()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Wait until nobody is alone, nor waits to be; then be here with others."""
        with self._room.open("a") as room:  # open anew: a lock is of the opened file, not of the process
            with self._turnstile.open("a") as turnstile:
                self._take(turnstile, fcntl.LOCK_EX)
                self._take(room, fcntl.LOCK_SH)
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until all who are here have left; nobody comes in meanwhile."""
        with self._room.open("a") as room:
            with self._turnstile.open("a") as turnstile:
                self._take(turnstile, fcntl.LOCK_EX)
                self._take(room, fcntl.LOCK_EX)
            yield

    def _take(self, file: IO[Any], how: int) -> None:
        while True:
            if self._stopped.is_set():
                raise StoppedError
            try:
                return fcntl.flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError:
                self._stopped.wait(ASK_S)
