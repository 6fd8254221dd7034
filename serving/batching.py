"""Dynamic batching: items of many requests are computed together, within a bound on how many wait and how long.

While an instance computes, what arrives waits; when it is free, all that may go together goes together. So an idle
server adds no delay, and a busy one makes the largest batches. Each instance is a thread that takes its work from the
queue itself: one that went through the event loop for it would wait behind all that the loop does meanwhile. Clients
take turns in the batches, and so do the requests of one client: a request of a thousand items delays one of a single
item by a batch or two.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.errors import RefusalError, busy
from serving.rotation import Rotation

Run = Callable[[Sequence[Any], Any], list[Any]]
"""(items, options) -> a result for each item; called in a thread."""
Cost = Callable[[Any, Any], float]
"""(item, options) -> how long it takes to compute, in any unit."""
Finish = Callable[[Any], Any]
"""(a result) -> what is to be made of it, by the thread that computed it: no other is woken for that."""
Each = Callable[[Any], Awaitable[None]]
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
    finish: Finish | None = None
    queued: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Outcome:
    """What became of an item."""

    result: Any = None
    error: Exception | None = None


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
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        """Held by who looks at what waits or changes it."""
        self._looking = threading.Lock()
        self._waiting: Rotation[Entry] = Rotation()
        self._computing = 0
        """Batches that were taken and whose results are not here yet."""
        self._closed = False
        self._unit_s = 0.0
        for number in range(instances):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Items in the queue."""
        return len(self._waiting)

    def retry_after(self) -> float:
        """Seconds until what waits now is computed, as far as the last batches tell."""
        with self._changed:
            return sum(entry.cost for entry in self._waiting) * self._unit_s / self._instances

    async def submit(
        self,
        items: Sequence[Any],
        options: Hashable,
        deadline: float,
        client: Hashable = None,
        finish: Finish | None = None,
        each: Each | None = None,
    ) -> list[Any]:
        """Results of `items`, in order. deadline: of `time.monotonic()`; client: who waits for them; finish: makes of
        each result what is returned in its place; each: is told of every result as soon as those before it are there,
        and waited for. When the caller is cancelled, items that still wait are not computed.

        Raises: RefusalError 413 when there are too many for the time; 429 when the queue is full, or the deadline
        passes; what `run` or `finish` raises for an item.
        """
        loop = asyncio.get_running_loop()
        entries = [
            Entry(item, options, self._cost(item, options), deadline, loop.create_future(), finish) for item in items
        ]
        self._admit(entries, deadline - time.monotonic(), client)
        request = object()
        try:
            async with asyncio.timeout_at(loop.time() + deadline - time.monotonic()):
                return await self._fed(entries, client, request, each)
        except TimeoutError:
            raise busy("the deadline passed before the answer was there; retry later", self.retry_after()) from None
        finally:
            for entry in entries:
                if entry.future.done() and not entry.future.cancelled():
                    entry.future.exception()  # one error is answered; the others are known
                entry.future.cancel()
            with self._changed:
                self._waiting.drop(client, request)  # what nobody waits for takes no room in the queue

    def _admit(self, entries: Sequence[Entry], left_s: float, client: Hashable) -> None:
        count = len(entries)
        if count > (most := max(self._max_batch, self._queue) * LARGEST):
            raise RefusalError(413, f"the request makes {count} parts, expected at most {most}; send it as several")
        takes_s = sum(entry.cost for entry in entries) * self._unit_s / self._instances
        if count > self._max_batch and takes_s > left_s * HOPELESS:
            raise RefusalError(
                413,
                f"the request makes {count} parts, which would take about {takes_s:.0f} s, but its deadline is in "
                f"{max(0.0, left_s):.0f} s; send it as several",
            )
        with self._changed:
            waiting, mine = len(self._waiting), self._waiting.of(client)
        share = min(count, self._share)
        if (mine and mine + share > self._queue) or (waiting and waiting + share > 2 * self._queue):
            raise busy(f"the model is busy: {waiting} items wait already; retry later", self.retry_after())

    async def _fed(self, entries: Sequence[Entry], client: Hashable, request: object, each: Each | None) -> list[Any]:
        """Results of all entries, of which no more than a share of the queue wait in it at a time."""
        results = []
        with self._changed:  # so that they may go together
            for entry in entries[: self._share]:
                self._push(entry, client, request)
        for i, entry in enumerate(entries):
            results.append(await entry.future)
            if i + self._share < len(entries):
                self._push(entries[i + self._share], client, request)
            if each is not None:
                await each(results[-1])
        return results

    def _push(self, entry: Entry, client: Hashable, request: object) -> None:
        entry.queued = time.monotonic()
        with self._changed:
            self._waiting.push(client, request, entry)
            self._changed.notify()

    async def close(self) -> None:
        """Compute what waits, then end. Nothing may be submitted afterwards."""
        while not self._idle():
            await asyncio.sleep(0.01)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _idle(self) -> bool:
        with self._changed:  # between the two a batch is in neither
            return not self._waiting and not self._computing

    def _work(self) -> None:
        """A thread: takes a batch, computes it, tells the event loop, and goes on without waiting for it."""
        while batch := self._next():
            began = time.monotonic()
            outcomes = self._outcomes(batch)
            done = Done(len(batch), time.monotonic() - began, [began - entry.queued for entry in batch])
            outcomes = [_finished(entry, outcome) for entry, outcome in zip(batch, outcomes, strict=True)]
            try:
                self._loop.call_soon_threadsafe(self._deliver, batch, outcomes, done)
            except RuntimeError:  # the loop has ended meanwhile
                return
            del batch, outcomes, done  # a thread that waits for more keeps no inputs

    def _next(self) -> list[Entry]:
        """The next batch, as soon as there is one; empty at the end. One thread looks at a time, and the others are
        behind it: each would take a part of what is to go together."""
        with self._looking, self._changed:
            while not self._closed:
                self._fill()
                if batch := self._take():
                    self._computing += 1
                    return batch
            return []

    def _fill(self) -> None:
        """Until something waits, and is a full batch or has waited as long as it may."""
        self._changed.wait_for(lambda: self._waiting or self._closed)
        if self._closed:
            return
        leave = min(entry.queued for entry in self._waiting.heads()) + self._max_wait
        while 0 < len(self._waiting) < self._max_batch and (rest := leave - time.monotonic()) > 0:
            self._changed.wait(rest)

    def _take(self) -> list[Entry]:
        """The next batch: equal options, clients in turn, without those that nobody waits for any more."""

        def fits(taken: Sequence[Entry], entry: Entry) -> bool:
            return not taken or entry.options == taken[0].options

        now = time.monotonic()
        taken = self._waiting.take(self._max_batch, fits)
        return [entry for entry in taken if not entry.future.done() and entry.deadline >= now]

    def _outcomes(self, batch: Sequence[Entry]) -> list[Outcome]:
        """Of each entry what `run` gives, or the exception that it raises for it alone, whatever it is: a thread that
        ended by it would leave all that waits without an answer."""
        try:
            results = self._run([entry.item for entry in batch], batch[0].options)
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for {len(batch)} items")
        except BaseException as error:  # it belongs to the requests of this batch
            if len(batch) > 1:  # one item must not spoil the others' answers
                return [self._outcomes([entry])[0] for entry in batch]
            return [_failed(error)]
        return [Outcome(result) for result in results]

    def _deliver(self, batch: Sequence[Entry], outcomes: Sequence[Outcome], done: Done) -> None:
        """In the event loop: what a thread has computed."""
        with self._changed:
            self._computing -= 1
        for entry, outcome in zip(batch, outcomes, strict=True):
            if entry.future.done():
                continue
            if outcome.error is not None:
                entry.future.set_exception(outcome.error)
            else:
                entry.future.set_result(outcome.result)
        cost = sum(entry.cost for entry in batch) or 1.0
        self._unit_s += (done.seconds / cost - self._unit_s) * (SMOOTHING if self._unit_s else 1)
        self._observe(done)


def _finished(entry: Entry, outcome: Outcome) -> Outcome:
    """What `finish` makes of a result that somebody waits for still."""
    if entry.finish is None or outcome.error is not None or entry.future.done():
        return outcome
    try:
        return Outcome(entry.finish(outcome.result))
    except BaseException as error:  # it belongs to this request
        return _failed(error)


def _failed(error: BaseException) -> Outcome:
    """An exception as one that a future takes."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return Outcome(error=error)
    return Outcome(error=RuntimeError(f"{type(error).__name__}: {error}"))
