"""Bytes that requests may hold together: their bodies, what those were decoded to, and answers that are not read yet.

One client cannot have more than half of them, so that another is still served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from serving.board import Seat
from serving.errors import busy


class Budget:
    """total: bytes; seat: among workers that share them. To be used in one event loop."""

    def __init__(self, total: int, seat: Seat | None = None):
        self.total, self.used, self._seat = total, 0, seat
        self._clients: Counter[Hashable] = Counter()

    @contextmanager
    def lease(self, client: Hashable) -> Iterator[Lease]:
        """What a request holds until the end of this context."""
        lease = Lease(self, client)
        try:
            yield lease
        finally:
            lease.resize(0)

    def take(self, client: Hashable, count: int) -> None:
        """count: bytes, below 0 gives them back. Raises: RefusalError 429."""
        if count > 0:
            used = self.used + (self._seat.held_by_others() if self._seat else 0)
            if used + count > self.total or self._clients[client] + count > self.total // 2:
                raise busy(f"requests hold {used} bytes of memory already, of {self.total}; retry later")
        self.used += count
        if self._seat:
            self._seat.tell("held", self.used)
        self._clients[client] += count
        if not self._clients[client]:
            del self._clients[client]


class Lease:
    """What one request holds now."""

    def __init__(self, budget: Budget, client: Hashable):
        self._budget, self._client, self.held = budget, client, 0

    def resize(self, size: int) -> None:
        """size: bytes from now on. Raises: RefusalError 429 when that is too much more."""
        self._budget.take(self._client, size - self.held)
        self.held = size

    def grow(self, count: int) -> None:
        """Likewise, `count` bytes more."""
        self.resize(self.held + count)
