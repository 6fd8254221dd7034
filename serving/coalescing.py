"""Equal requests that come while one of them is computed get its answer, where `--coalesce` asks for it.

Who waits for another's computation has a deadline of its own, and computes itself when the other one fails or leaves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from serving.errors import busy

Answer = TypeVar("Answer")


class Coalescing(Generic[Answer]):
    """To be used in one event loop. shared: is called for each request that another's computation has answered."""

    def __init__(self, shared: Callable[[], None] = lambda: None):
        self._shared = shared
        self._running: dict[Hashable, asyncio.Future[Answer | None]] = {}

    async def run(self, key: Hashable, end: float, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `work` gives, or what an equal one has given. end: of `time.monotonic()`.

        Raises: RefusalError 429 when that passes before the other one's answer is there; what `work` raises.
        """
        while (found := self._running.get(key)) is not None:
            await asyncio.wait({found}, timeout=max(0.0, end - time.monotonic()))
            if not found.done():
                raise busy("the deadline passed before the answer was there; retry later")
            if (answer := found.result()) is not None:
                self._shared()
                return answer
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._running[key] = future
        try:
            made = await work()
            future.set_result(made)
            return made
        finally:
            del self._running[key]
            if not future.done():
                future.set_result(None)
