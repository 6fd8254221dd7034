"""Equal requests that come while one of them is computed get its answer, where `--coalesce` asks for it.

Who waits for another's computation has a deadline of its own, and computes itself when the other one leaves or fails by
what is its own: its deadline, its share of the queue or of the memory. What is wrong with the request itself, or with
the model, would fail the same way again, so all of them are told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from serving.errors import ClientGoneError, RefusalError, busy

Answer = TypeVar("Answer")
OWN = (413, 429)
"""Statuses of refusals that hang on who asks, and when: another may have more time, or a place."""


@dataclass(frozen=True)
class Failed:
    """What all who ask the same are told."""

    why: Exception


class Coalescing(Generic[Answer]):
    """To be used in one event loop. shared: is called for each request that another's computation has answered."""

    def __init__(self, shared: Callable[[], None] = lambda: None):
        self._shared = shared
        self._running: dict[Hashable, asyncio.Future[Answer | Failed | None]] = {}

    async def run(self, key: Hashable, end: float, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `work` gives, or what an equal one has given. end: of `time.monotonic()`.

        Raises: RefusalError 429 when that passes before the other one's answer is there; what `work` raises.
        """
        while (found := self._running.get(key)) is not None:
            await asyncio.wait({found}, timeout=max(0.0, end - time.monotonic()))
            if not found.done():
                raise busy("the deadline passed before the answer was there; retry later")
            answer = found.result()
            if isinstance(answer, Failed):
                raise answer.why
            if answer is not None:
                self._shared()
                return answer
        future: asyncio.Future[Answer | Failed | None] = asyncio.get_running_loop().create_future()
        self._running[key] = future
        try:
            made = await work()
            future.set_result(made)
            return made
        except ClientGoneError:
            raise
        except Exception as error:
            if not (isinstance(error, RefusalError) and error.status in OWN):
                future.set_result(Failed(error))
            raise
        finally:
            del self._running[key]
            if not future.done():
                future.set_result(None)
