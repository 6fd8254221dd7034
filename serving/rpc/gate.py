"""How many messages come in at once: gRPC tells a message's size to nobody before it is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """slots: messages that are received at once; one client has half of them, so that a slow one keeps no other out."""

    def __init__(self, slots: int):
        self._all, self._each = asyncio.Semaphore(slots), max(1, slots // 2)
        self._clients: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    @asynccontextmanager
    async def enter(self, client: str) -> AsyncIterator[None]:
        mine, users = self._clients.setdefault(client, (asyncio.Semaphore(self._each), []))
        users.append(None)
        try:
            async with mine, self._all:
                yield
        finally:
            users.pop()
            if not users:
                del self._clients[client]
