"""Dynamic batching: items of many requests are computed together, within a bound on how many wait and how long.

While an instance computes, what arrives waits; when it is free, all that may go together goes together. So an idle
server adds no delay, and a busy one makes the largest batches. Clients take turns in the batches, and so do the
requests of one client: a request of a thousand items delays one of a single item by a batch or two.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from serving.errors import RefusalError, busy
from serving.rotation import Rotation

Run = Callable[[Sequence[Any], Any], list[Any]]
"""(items, options) -> a result for each item; called in a thread."""
Cost = Callable[[Any, Any], float]
"""(item, options) -> how long it takes to compute, in any unit."""
SMOOTHING = 0.1
"""Weight of the newest batch in the moving average of seconds a unit of cost."""
HOPELESS = 4.0
"""A request is refused at once when its own items, as far as the last batches tell, would take so many times the time
that it has. One item alone takes up to four times as long as its share of a full batch."""
LARGEST = 64
"""Items of one request, in multiples of the queue: a text of 20,000 characters may be thousands of short sentences."""
FEW = 8
"""So many items of one request wait in the queue at once however small that is; the others wait outside."""


@dataclass(eq=False)
class Entry:
    item: Any
    options: Hashable
    cost: float
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

    observe: is told of every batch; cost: of an item. To be made and used in one event loop.
    """

    def __init__(
        self,
        run: Run,
        max_batch: int,
        max_wait_s: float = 0.0,
        queue: int = 128,
        instances: int = 1,
        observe: Callable[[Done], None] = lambda done: None,
        cost: Cost = lambda item, options: 1.0,
    ):
        self._run, self._max_batch, self._max_wait, self._queue = run, max_batch, max_wait_s, queue
        self._instances, self._observe, self._cost = instances, observe, cost
        self._share = max(max_batch, queue // 4, FEW)
        self._waiting: Rotation[Entry] = Rotation()
        self._arrived = asyncio.Event()
        self._free = asyncio.Semaphore(instances)
        self._pool = ThreadPoolExecutor(instances, thread_name_prefix="batch")
        self._computing: set[asyncio.Task[None]] = set()
        self._unit_s = 0.0
        self._dispatcher = asyncio.create_task(self._dispatch())

    @property
    def waiting(self) -> int:
        """Items in the queue."""
        return len(self._waiting)

    def retry_after(self) -> float:
        """Seconds until what waits now is computed, as far as the last batches tell."""
        return sum(entry.cost for entry in self._waiting) * self._unit_s / self._instances

    async def submit(
        self, items: Sequence[Any], options: Hashable, deadline: float, client: Hashable = None
    ) -> list[Any]:
        """Results of `items`, in order. deadline: of `time.monotonic()`; client: who waits for them. When the caller is
        cancelled, items that still wait are not computed.

        Raises: RefusalError 413 when there are too many for the time; 429 when the queue is full, or the deadline
        passes; what `run` raises for an item.
        """
        loop = asyncio.get_running_loop()
        entries = [Entry(item, options, self._cost(item, options), deadline, loop.create_future()) for item in items]
        self._admit(entries, deadline - time.monotonic(), client)
        request = object()
        try:
            async with asyncio.timeout_at(loop.time() + deadline - time.monotonic()):
                return await self._fed(entries, client, request)
        except TimeoutError:
            raise busy("the deadline passed before the answer was there; retry later", self.retry_after()) from None
        finally:
            for entry in entries:
                if entry.future.done() and not entry.future.cancelled():
                    entry.future.exception()  # one error is answered; the others are known
                entry.future.cancel()
            self._waiting.drop(client, request)  # what nobody waits for takes no room in the queue

    def _admit(self, entries: Sequence[Entry], left_s: float, client: Hashable) -> None:
        count = len(entries)
        if count > (most := max(self._max_batch, self._queue) * LARGEST):
            raise RefusalError(413, f"the request makes {count} parts, expected at most {most}; send it as several")
        takes_s = sum(entry.cost for entry in entries) * self._unit_s
        if count > self._max_batch and takes_s > left_s * HOPELESS:
            raise RefusalError(
                413,
                f"the request makes {count} parts, which would take about {takes_s:.0f} s, but its deadline is in "
                f"{max(0.0, left_s):.0f} s; send it as several",
            )
        waiting, mine = len(self._waiting), self._waiting.of(client)
        share = min(count, self._share)
        if (mine and mine + share > self._queue) or (waiting and waiting + share > 2 * self._queue):
            raise busy(f"the model is busy: {waiting} items wait already; retry later", self.retry_after())

    async def _fed(self, entries: Sequence[Entry], client: Hashable, request: object) -> list[Any]:
        """Results of all entries, of which no more than a share of the queue wait in it at a time."""
        results = []
        for i, entry in enumerate(entries):
            if i < self._share:
                self._push(entry, client, request)
        for i, entry in enumerate(entries):
            results.append(await entry.future)
            if i + self._share < len(entries):
                self._push(entries[i + self._share], client, request)
        return results

    def _push(self, entry: Entry, client: Hashable, request: object) -> None:
        entry.queued = time.monotonic()
        self._waiting.push(client, request, entry)
        self._arrived.set()

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
        leave = min(entry.queued for entry in self._waiting.heads()) + self._max_wait
        while 0 < len(self._waiting) < self._max_batch and (rest := leave - time.monotonic()) > 0:
            self._arrived.clear()
            try:
                async with asyncio.timeout(rest):
                    await self._arrived.wait()
            except TimeoutError:
                return

    def _take(self) -> list[Entry]:
        """The next batch: equal options, clients in turn, without those that nobody waits for any more."""

        def fits(taken: Sequence[Entry], entry: Entry) -> bool:
            return not taken or entry.options == taken[0].options

        now = time.monotonic()
        taken = self._waiting.take(self._max_batch, fits)
        return [entry for entry in taken if not entry.future.done() and entry.deadline >= now]

    async def _compute(self, batch: list[Entry]) -> None:
        began = time.monotonic()
        try:
            await self._results(batch)
        finally:
            self._free.release()
            seconds = time.monotonic() - began
            cost = sum(entry.cost for entry in batch) or 1.0
            self._unit_s += (seconds / cost - self._unit_s) * (SMOOTHING if self._unit_s else 1)
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
