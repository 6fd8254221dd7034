"""How many requests wait for one model: a bound for each client, and one for all, asked before a body is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from serving.errors import busy


class Admission:
    """most: requests of one client; of all clients twice as many, so that one alone does not keep the others out.
    retry_after: seconds until there may be room."""

    def __init__(self, name: str, most: int, retry_after: Callable[[], float]):
        self._name, self._most, self._retry_after = name, most, retry_after
        self._clients: Counter[Hashable] = Counter()

    @contextmanager
    def enter(self, client: Hashable) -> Iterator[None]:
        """Raises: RefusalError 429."""
        count = self._clients[client]
        if count >= self._most:
            raise busy(f"{count} requests for {self._name} are waiting; retry later", self._retry_after())
        if (total := self._clients.total()) >= 2 * self._most:
            raise busy(f"{total} requests for {self._name} are waiting; retry later", self._retry_after())
        self._clients[client] += 1
        try:
            yield
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
