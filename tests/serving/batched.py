"""A model that computes when a test lets it, and what a test does with its batcher."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from serving.batching import Batcher, Done

SOON = 60.0
"""A deadline that no test reaches."""


class Model:
    """Computes `10 * item` when it may; remembers its batches. Items that are exceptions are raised."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[Any], Any]] = []
        self.done: list[Done] = []
        self.free = threading.Event()
        self.free.set()
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()

    def run(self, items: Sequence[Any], options: Any) -> list[Any]:
        with self._lock:
            self.batches.append((list(items), options))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        assert self.free.wait(60)
        with self._lock:
            self._at_once -= 1
        for item in items:
            if isinstance(item, Exception):
                raise item
        return [10 * item for item in items]

    @property
    def lists(self) -> list[list[Any]]:
        return [items for items, _ in self.batches]

    @property
    def items(self) -> list[Any]:
        return [item for items in self.lists for item in items]


def run(scenario: Callable[[Model, Callable[..., Batcher]], Awaitable[None]]) -> Model:
    """A scenario in an event loop of its own; its batchers are closed, its model is returned."""
    model = Model()

    async def whole() -> None:
        made: list[Batcher] = []

        def batcher(max_batch: int = 4, **settings: Any) -> Batcher:
            made.append(Batcher(model.run, max_batch, observe=model.done.append, **settings))
            return made[-1]

        async with asyncio.timeout(60):
            await scenario(model, batcher)
            model.free.set()
            for one in made:
                await one.close()

    asyncio.run(whole())
    return model


def deadline(seconds: float = SOON) -> float:
    return time.monotonic() + seconds


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def submitted(batcher: Batcher, *items: Any, options: Any = None, seconds: float = SOON) -> asyncio.Task[list[Any]]:
    return asyncio.create_task(batcher.submit(items, options, deadline(seconds)))


async def busy(model: Model, batcher: Batcher) -> asyncio.Task[list[Any]]:
    """A batch of one item, 0, that is being computed until `model.free` is set."""
    model.free.clear()
    task = submitted(batcher, 0)
    await until(lambda: model.batches)
    return task
