"""A load generator: HTTP/1.1 over kept connections, as little Python as possible between the clock and the socket."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import uvloop

Found = TypeVar("Found")


@dataclass(frozen=True)
class Request:
    """One request, over and over. key: of the answer that is right."""

    key: int
    content: bytes


@dataclass
class Result:
    seconds: float = 0.0
    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    """Of answers with 200, seconds, from the moment when the request was due."""
    wrong: int = 0
    broken: int = 0
    """Connections that ended without an answer."""

    @property
    def rate(self) -> float:
        """Answers with 200 a second."""
        return self.statuses[200] / self.seconds

    def milliseconds(self, percent: float) -> float:
        return float(np.percentile(self.latencies, percent)) * 1000 if self.latencies else float("nan")


def post(host: str, path: str, kind: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes
) -> tuple[int, bytes, bytes]:
    """Status, headers in small letters, and body."""
    writer.write(content)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    body = await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    return int(head[9:12]), head, body


class Client:
    """Kept connections to one server. expected: body that each key must be answered with; None: not compared."""

    def __init__(self, port: int, expected: dict[int, bytes] | None = None):
        self._port, self._expected, self.result = port, expected, Result()
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, request: Request, due: float) -> None:
        self.result.sent += 1
        kept = bool(self._idle)
        while True:
            try:
                connection = self._idle.pop() if kept else await asyncio.open_connection("127.0.0.1", self._port)
                status, head, body = await answer(*connection, request.content)
                break
            except (OSError, asyncio.IncompleteReadError):
                if not kept:
                    self.result.broken += 1
                    return
                kept = False  # the server closed it while it was idle; as RFC 9112, 9.3.1 says, once more
        self.result.statuses[status] += 1
        if status == 200:
            self.result.latencies.append(time.perf_counter() - due)
            if self._expected is not None and body != self._expected[request.key]:
                self.result.wrong += 1
        if b"connection: close" in head:
            connection[1].close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


def run(work: Coroutine[Any, Any, Found]) -> Found:
    """In an event loop that takes as little as may be of the cores that the server needs."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def closed(port: int, requests: Sequence[Request], seconds: float, connections: int) -> Result:
    """`connections` clients that each send the next request when the last is answered."""
    client, began = Client(port), time.perf_counter()

    async def one(start: int) -> None:
        number = start
        while (now := time.perf_counter()) - began < seconds:
            await client.ask(requests[number % len(requests)], now)
            number += connections

    await asyncio.gather(*(one(start) for start in range(connections)))
    client.result.seconds = time.perf_counter() - began
    client.close()
    return client.result


async def opened(
    port: int,
    requests: Sequence[Request],
    seconds: float,
    rate: float,
    poisson: bool = False,
    expected: dict[int, bytes] | None = None,
) -> Result:
    """`rate` requests a second, whether answers come or not: evenly spaced, or as a Poisson process."""
    client, began = Client(port, expected), time.perf_counter()
    running: set[asyncio.Task[None]] = set()
    for number, due in enumerate(_arrivals(rate, seconds, poisson)):
        if (pause := began + due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        task = asyncio.create_task(client.ask(requests[number % len(requests)], began + due))
        running.add(task)
        task.add_done_callback(running.discard)
    client.result.seconds = seconds
    await asyncio.gather(*running)
    client.close()
    return client.result


def _arrivals(rate: float, seconds: float, poisson: bool) -> Iterator[float]:
    draw = random.Random(7)  # noqa: S311 - nothing secret
    at = 0.0
    while at < seconds:
        yield at
        at += draw.expovariate(rate) if poisson else 1 / rate
