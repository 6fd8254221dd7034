"""However many connections are open, another is answered; at the end none is cut off.

docs/faults.md 94, 104.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from running import Running
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from serving.listener import Listener

MOST = 20


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("here")(scope, receive, send)


def listening(scenario: Callable[[int, Listener], Awaitable[None]]) -> None:
    async def whole() -> None:
        with socket.create_server(("127.0.0.1", 0)) as made:
            listener = Listener(app, made, 5, MOST)
            listener.open()
            await scenario(made.getsockname()[1], listener)
            await listener.close(5)

    asyncio.run(asyncio.wait_for(whole(), 30))


async def asked(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


def test_idle_connections_make_room() -> None:
    async def scenario(port: int, listener: Listener) -> None:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5 * MOST)]
        for _ in range(5):
            assert b"here" in await asked(port)
        idle[0][1].write(b"GET")
        assert await idle[0][0].read() == b""  # the first that came went first
        idle[-1][1].write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in await idle[-1][0].readline()
        for _, writer in idle:
            writer.close()

    listening(scenario)


def test_heads_that_do_not_end_make_room_too() -> None:
    async def scenario(port: int, listener: Listener) -> None:
        for _ in range(5 * MOST):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nX: ")
            await writer.drain()
        assert b"here" in await asked(port)

    listening(scenario)


def test_what_has_connected_before_the_end_is_answered() -> None:
    """It may still be in the kernel's queue, and its request on its way."""

    async def scenario(port: int, listener: Listener) -> None:
        connections = []
        for _ in range(10):
            connection = socket.socket()
            connection.connect(("127.0.0.1", port))  # nobody takes it while this thread is here
            connections.append(connection)
        closing = asyncio.create_task(listener.close(5))
        await asyncio.sleep(0.05)
        for connection in connections:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for connection in connections:
            answer = await asyncio.to_thread(connection.recv, 4096)
            assert answer.startswith(b"HTTP/1.1 200") and b"connection: close" in answer
            connection.close()
        await closing
        listener.close = _nothing  # type: ignore[method-assign]

    listening(scenario)


async def _nothing(seconds: float) -> None: ...


def test_no_request_is_lost_when_a_server_ends(packages: dict[str, Path]) -> None:
    with Running(str(packages["translation"])) as server:
        server.wait_until_ready()
        found: Counter[str] = Counter()
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
                try:
                    connection.connect()
                except OSError:
                    return  # nobody listens any more
                try:
                    for _ in range(3):
                        connection.request("GET", "/live")
                        answer = connection.getresponse()
                        answer.read()
                        found[str(answer.status)] += 1
                        if answer.getheader("Connection") == "close":
                            break
                except (OSError, http.client.HTTPException) as error:
                    found[type(error).__name__] += 1
                connection.close()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        server.stop()
        assert server.process.wait(30) == 0
        over.set()
        for thread in threads:
            thread.join()
    assert found.keys() == {"200"}, found
    assert found["200"] > 100
