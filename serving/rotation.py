"""Queues in which clients take turns, and the requests of each client among themselves: however much one of them asks
for, another waits for no more than its turn."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Rotation(Generic[Item]):
    """Items by client and request; those of one request keep their order."""

    def __init__(self) -> None:
        self._clients: OrderedDict[Hashable, OrderedDict[Hashable, deque[Item]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        for requests in self._clients.values():
            for items in requests.values():
                yield from items

    def of(self, client: Hashable) -> int:
        """Items of one client."""
        return sum(map(len, self._clients.get(client, {}).values()))

    def push(self, client: Hashable, request: Hashable, item: Item) -> None:
        self._clients.setdefault(client, OrderedDict()).setdefault(request, deque()).append(item)
        self._count += 1

    def drop(self, client: Hashable, request: Hashable) -> None:
        """All items of a request that nobody waits for any more."""
        requests = self._clients.get(client, OrderedDict())
        self._count -= len(requests.pop(request, ()))
        if not requests:
            self._clients.pop(client, None)

    def heads(self) -> Iterator[Item]:
        """The oldest item of each request."""
        for requests in self._clients.values():
            for items in requests.values():
                yield items[0]

    def take(self, most: int, fits: Callable[[list[Item], Item], bool] = lambda taken, item: True) -> list[Item]:
        """Up to `most` items, one of each client in turn, that `fits` lets stand beside those taken already. A client
        whose items do not fit keeps its turn."""
        taken: list[Item] = []
        went_on = True
        while went_on and len(taken) < most:
            went_on = False
            for client in list(self._clients):
                if len(taken) < most and self._one(client, taken, fits):
                    went_on = True
        return taken

    def _one(self, client: Hashable, taken: list[Item], fits: Callable[[list[Item], Item], bool]) -> bool:
        requests = self._clients[client]
        found = next((request for request, items in requests.items() if fits(taken, items[0])), None)
        if found is None:
            return False
        taken.append(requests[found].popleft())
        self._count -= 1
        requests.move_to_end(found)
        self._clients.move_to_end(client)
        if not requests[found]:
            del requests[found]
        if not requests:
            del self._clients[client]
        return True


class Turns:
    """Threads that work for clients in turn. What waits for its turn holds no thread, and is gone when its caller is.

    pool: an executor that others may use too; slots: how much of it is used at once.
    """

    def __init__(self, pool: Executor, slots: int):
        self._pool, self._free = pool, slots
        self._waiting: Rotation[asyncio.Future[None]] = Rotation()

    async def run(self, client: Hashable, work: Callable[[], Result]) -> Result:
        """`work()`, in a thread."""
        await self._turn(client)
        loop, future = asyncio.get_running_loop(), self._pool.submit(work)

        def ended(future: object) -> None:
            with suppress(RuntimeError):  # the server has ended meanwhile
                loop.call_soon_threadsafe(self._release)

        future.add_done_callback(ended)  # a thread that has begun cannot be stopped, and keeps its slot until then
        return await asyncio.wrap_future(future)

    async def _turn(self, client: Hashable) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.push(client, turn, turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.drop(client, turn)
            if turn.done() and not turn.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        """The slot goes to who is next."""
        while (following := self._waiting.take(1)) and following[0].done():
            pass
        if following:
            following[0].set_result(None)
        else:
            self._free += 1
