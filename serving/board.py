"""Numbers that the workers of one server share: who is there and ready, how many connections each has, how many bytes
its requests hold.

Each worker writes its own row alone, so nothing is locked; what another reads may be a moment old.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import dataclass

ROW = ("pid", "ready", "connections", "held")
"""Numbers of a worker: its process, 0 while it takes no connections; whether all its models are served; its
connections; bytes that its requests hold."""
BYTES = 8


class Board:
    """fd: of memory for `workers` rows, see `create`. Lives as long as one process has it open."""

    def __init__(self, fd: int, workers: int):
        self.fd, self.workers = fd, workers
        self._numbers = memoryview(mmap.mmap(fd, workers * len(ROW) * BYTES)).cast("q")

    @classmethod
    def create(cls, workers: int) -> Board:
        """All zero, in memory that processes inherit which are started with its descriptor."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("stillhouse-board")
        else:  # not Linux
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, workers * len(ROW) * BYTES)
        os.set_inheritable(fd, True)
        return cls(fd, workers)

    def get(self, worker: int, name: str) -> int:
        return self._numbers[worker * len(ROW) + ROW.index(name)]

    def set(self, worker: int, name: str, value: int) -> None:
        self._numbers[worker * len(ROW) + ROW.index(name)] = value

    def clear(self, worker: int) -> None:
        """It has ended."""
        for name in ROW:
            self.set(worker, name, 0)

    def pids(self) -> list[int]:
        """Of the workers that take connections."""
        return [pid for worker in range(self.workers) if (pid := self.get(worker, "pid"))]


@dataclass(frozen=True)
class Seat:
    """The row of one worker, and what it sees of the others."""

    board: Board
    worker: int

    def open(self) -> None:
        """From now on this worker takes connections."""
        self.board.set(self.worker, "pid", os.getpid())

    def close(self) -> None:
        self.board.set(self.worker, "pid", 0)

    def tell(self, name: str, value: int) -> None:
        self.board.set(self.worker, name, value)

    def held_by_others(self) -> int:
        """Bytes of their requests."""
        return sum(self.board.get(other, "held") for other in self._others())

    def turn(self) -> bool:
        """Whether the next connection is for this worker: no other that is as ready has fewer."""
        mine = self._rank(self.worker)
        return all(mine <= self._rank(other) for other in self._others() if self.board.get(other, "pid"))

    def _rank(self, worker: int) -> tuple[bool, int]:
        return not self.board.get(worker, "ready"), self.board.get(worker, "connections")

    def _others(self) -> list[int]:
        return [other for other in range(self.board.workers) if other != self.worker]
