"""Requests without a pause from several threads, every answer kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

import httpx
from running import Running


class Load:
    """Asks while it is open. Each thread has connections of its own.

    ask: makes one request with a client.
    """

    def __init__(self, server: Running, ask: Callable[[httpx.Client], httpx.Response], threads: int = 4):
        self.answers: list[httpx.Response] = []
        self.errors: list[Exception] = []
        """Requests that got no answer."""
        self._url, self._ask, self._over = server.url, ask, threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._over.is_set():
                try:
                    self.answers.append(self._ask(client))
                except httpx.TransportError as error:
                    self.errors.append(error)
