"""Takes connections from a listening socket, keeps their number in bounds, and ends without cutting one off."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections import OrderedDict
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp

from serving import logs
from serving.board import Seat
from serving.connection import Connection

MOST = 4096
"""Connections at once, where the system lets us have as many files."""
SPARE = 128
"""Files that are for others: models, logs, threads."""
AT_ONCE = 64
"""Connections that are taken before others are served."""
PATIENCE, PATIENCE_S = 5, 0.001
"""How often, and how long each time, a worker leaves a connection to another that has fewer."""


def descriptors() -> int:
    """How many files this process may have open; the most that it may ask for is asked for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + SPARE if hard == resource.RLIM_INFINITY else min(hard, MOST + SPARE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return MOST + SPARE if soft == resource.RLIM_INFINITY else soft


class Listener:
    """app: ASGI; listening: a socket that others may share; read_s: see `serving.settings`; most: connections, None: as
    many as the system allows, within reason; seat: of this process among workers that share the connections."""

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        read_s: float,
        most: int | None = None,
        seat: Seat | None = None,
    ):
        self._app, self._socket, self._read_s, self._seat = app, listening, read_s, seat
        self._most = most or max(SPARE, min(MOST, descriptors() - SPARE))
        self._connections: OrderedDict[Connection, None] = OrderedDict()
        """Those that had a request last stand last."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._connected = 0
        self._patience = PATIENCE
        self._empty = asyncio.Event()
        self._empty.set()

    def open(self) -> None:
        self._socket.setblocking(False)
        if self._seat is not None:
            self._seat.open()
        self._listen()

    def _listen(self) -> None:
        if not self._closing:
            asyncio.get_running_loop().add_reader(self._socket, self._come)

    def _come(self) -> None:
        """Somebody connects. Where several workers could take him, the one with the fewest connections does: requests
        come by connection, and one who took all that come at once would work alone. If it has not come to that within
        a moment, whoever looks next takes him."""
        if self._seat is None:
            self._accept()
            return
        if self._seat.turn() or not self._patience:
            self._patience = PATIENCE
            self._accept(1)
        else:
            self._patience -= 1
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket)
            loop.call_later(PATIENCE_S, self._listen)

    async def close(self, drain_s: float) -> None:
        """Take what has connected already, and no more; answer what is under way, for `drain_s` at most."""
        self._closing = True
        asyncio.get_running_loop().remove_reader(self._socket)
        if self._seat is not None:
            self._seat.close()
        while self._accept():
            pass
        with suppress(OSError):  # another worker was first
            self._socket.shutdown(socket.SHUT_RD)  # for every process that has it: else clients wait for nobody
        self._socket.close()
        for connection in list(self._connections):
            connection.leave()
        try:
            async with asyncio.timeout(drain_s):
                await self._empty.wait()
        except TimeoutError:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=1)
        for connection in list(self._connections):
            connection.transport.close()

    def _accept(self, most: int = AT_ONCE) -> bool:
        """Whether there may be more."""
        for _ in range(most):
            try:
                connected, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:  # too many files, or a client that has left already
                if error.errno == errno.EINVAL:  # another worker ends, and this one is about to
                    asyncio.get_running_loop().remove_reader(self._socket)
                    return False
                logs.event("no connection", 40, reason=str(error))
                self._make_room()
                return False
            connected.setblocking(False)
            if connected.family != socket.AF_UNIX:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._empty.clear()
            self._count(1)
            self.start(self._connect(connected))
        return True

    async def _connect(self, connected: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._connection, connected)
        except OSError:
            connected.close()
            self._count(-1)

    def _connection(self) -> Connection:
        return Connection(self._app, self, self._read_s)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """A task that is waited for in the end."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._look()

    def _look(self) -> None:
        if not self._tasks and not self._connections:
            self._empty.set()

    def opened(self, connection: Connection) -> None:
        if len(self._connections) >= self._most:
            self._make_room()
        self._connections[connection] = None
        if self._closing:
            connection.leave()

    def rested(self, connection: Connection) -> None:
        """A request of this connection was answered."""
        if connection in self._connections:
            self._connections.move_to_end(connection)

    def closed(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        self._count(-1)
        self._look()

    def _count(self, more: int) -> None:
        self._connected += more
        if self._seat is not None:
            self._seat.tell("connections", self._connected)

    def _make_room(self) -> None:
        """End the connection that has been without a request for longest."""
        idle = next((connection for connection in self._connections if connection.idle), None)
        if idle is not None:
            del self._connections[idle]
            idle.evict()
