"""Dynamic batching: items of many requests are computed together, within a bound on how many wait and how long.

While an instance computes, what arrives waits; when it is free, all that may go together goes together. So an idle
server adds no delay, and a busy one makes the largest batches.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from serving.errors import busy

Run = Callable[[Sequence[Any], Any], list[Any]]
"""(items, options) -> a result for each item; called in a thread."""
SMOOTHING = 0.1
"""Weight of the newest batch in the moving average of seconds an item."""


@dataclass(eq=False)
class Entry:
    item: Any
    options: Hashable
    deadline: float
    future: asyncio.Future[Any]
    queued: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Done:
    """What a batch was, for metrics. Times in seconds."""

    items: int
    seconds: float
    waited: list[float]


class Batcher:
    """run: computes a batch; max_batch, max_wait_s, queue, instances: see `serving.settings`.

    observe: is told of every batch. To be made and used in one event loop.
    """

    def __init__(
        self,
        run: Run,
        max_batch: int,
        max_wait_s: float = 0.0,
        queue: int = 128,
        instances: int = 1,
        observe: Callable[[Done], None] = lambda done: None,
    ):
        self._run, self._max_batch, self._max_wait, self._queue = run, max_batch, max_wait_s, queue
        self._instances, self._observe = instances, observe
        self._waiting: deque[Entry] = deque()
        self._arrived = asyncio.Event()
        self._free = asyncio.Semaphore(instances)
        self._pool = ThreadPoolExecutor(instances, thread_name_prefix="batch")
        self._computing: set[asyncio.Task[None]] = set()
        self._item_s = 0.0
        self._dispatcher = asyncio.create_task(self._dispatch())

    @property
    def waiting(self) -> int:
        """Items in the queue."""
        return len(self._waiting)

    def retry_after(self) -> float:
        """Seconds until what waits now is computed, as far as the last batches tell."""
        return len(self._waiting) * self._item_s / self._instances

    async def submit(self, items: Sequence[Any], options: Hashable, deadline: float) -> list[Any]:
        """Results of `items`, in order. deadline: of `time.monotonic()`. When the caller is cancelled, items that
        still wait are not computed.

        Raises: RefusalError 429 when the queue is full, or the deadline passes; what `run` raises for an item.
        """
        if self._waiting and len(self._waiting) + len(items) > self._queue:
            raise busy(f"the model is busy: {len(self._waiting)} items wait already; retry later", self.retry_after())
        loop = asyncio.get_running_loop()
        entries = [Entry(item, options, deadline, loop.create_future()) for item in items]
        self._waiting.extend(entries)
        self._arrived.set()
        try:
            async with asyncio.timeout_at(loop.time() + deadline - time.monotonic()):
                return [await entry.future for entry in entries]
        except TimeoutError:
            raise busy("the deadline passed before the answer was there; retry later", self.retry_after()) from None
        finally:
            for entry in entries:
                if entry.future.done() and not entry.future.cancelled():
                    entry.future.exception()  # one error is answered; the others are known
                entry.future.cancel()
            if any(entry.future.cancelled() for entry in entries):  # what nobody waits for takes no room in the queue
                self._waiting = deque(entry for entry in self._waiting if not entry.future.done())

    async def close(self) -> None:
        """Compute what waits, then end. Nothing may be submitted afterwards."""
        while self._waiting or self._computing:
            await asyncio.sleep(0.01)
        self._dispatcher.cancel()
        self._pool.shutdown(wait=False)

    async def _dispatch(self) -> None:
        while True:
            await self._free.acquire()
            batch: list[Entry] = []
            while not batch:
                await self._fill()
                batch = self._take()
            task = asyncio.create_task(self._compute(batch))
            self._computing.add(task)
            task.add_done_callback(self._computing.discard)

    async def _fill(self) -> None:
        """Until something waits, and is a full batch or has waited as long as it may."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        leave = self._waiting[0].queued + self._max_wait
        while 0 < len(self._waiting) < self._max_batch and (rest := leave - time.monotonic()) > 0:
            self._arrived.clear()
            try:
                async with asyncio.timeout(rest):
                    await self._arrived.wait()
            except TimeoutError:
                return

    def _take(self) -> list[Entry]:
        """The next batch: equal options, oldest first, without those that nobody waits for any more."""
        batch: list[Entry] = []
        others: list[Entry] = []
        while self._waiting and len(batch) < self._max_batch:
            entry = self._waiting.popleft()
            if entry.future.done() or entry.deadline < time.monotonic():
                continue  # `submit` has told, or is telling its caller
            (others if batch and entry.options != batch[0].options else batch).append(entry)
        self._waiting.extendleft(reversed(others))
        return batch

    async def _compute(self, batch: list[Entry]) -> None:
        began = time.monotonic()
        try:
            await self._results(batch)
        finally:
            self._free.release()
            seconds = time.monotonic() - began
            self._item_s += (seconds / len(batch) - self._item_s) * (SMOOTHING if self._item_s else 1)
            self._observe(Done(len(batch), seconds, [began - entry.queued for entry in batch]))

    async def _results(self, batch: list[Entry]) -> None:
        loop = asyncio.get_running_loop()
        items = [entry.item for entry in batch]
        try:
            results = await loop.run_in_executor(self._pool, self._run, items, batch[0].options)
            if len(results) != len(items):
                raise RuntimeError(f"{len(results)} results for {len(items)} items")
        except Exception as error:  # whatever it is, it belongs to the requests of this batch
            if len(batch) > 1:
                for entry in batch:  # one item must not spoil the others' answers
                    await self._results([entry])
            elif not batch[0].future.done():
                batch[0].future.set_exception(error)
            return
        for entry, result in zip(batch, results, strict=True):
            if not entry.future.done():
                entry.future.set_result(result)
