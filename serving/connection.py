"""One connection: HTTP/1.1 in and out, by h11, as an ASGI server (https://asgi.readthedocs.io), within bounds.

Requests are answered one after another; those that a client sends ahead (pipelining) wait as bytes. Bounded are
time and size of a head, what is read ahead of the application, and how long a client may leave an answer unread.
"""

from __future__ import annotations

import asyncio
import http
import json
import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

import h11
from starlette.types import ASGIApp, Message, Scope

from serving import framing, logs
from serving.framing import MalformedError

if TYPE_CHECKING:
    from serving.listener import Listener

AHEAD = 128 * 1024
"""Bytes that are read ahead of the application, at most and a read more."""
PIECE = 64 * 1024
"""Bytes that are given to the transport at once."""
IDLE_S = 30.0
"""How long a connection without a request is kept."""
LINGER_S = 5.0
LINGER_BYTES = 64_000_000
"""How long, and how much, is still read and thrown away behind the last answer: a connection that is closed before that
is reset, and the client may never see the answer (RFC 9112, 9.6)."""
CLOSE = (b"connection", b"close")
LEAVE_S = 1.0
"""How long an idle connection is kept when the server ends, since a request may be on its way; and how long it lingers
whenever it is closed, since no answer can be lost."""


class Connection(asyncio.Protocol):
    def __init__(self, app: ASGIApp, listener: Listener, read_s: float):
        self._app, self._listener, self._read_s = app, listener, read_s
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._exchange: Exchange | None = None
        self._leaving = self._lingering = self._paused = False
        self._begun = False
        """Whether bytes of a head have come, and not all of it."""
        self._thrown = 0
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.transport: asyncio.Transport
        self.client: tuple[str, int] | None = None

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are none by name
        peer = transport.get_extra_info("peername")
        self.client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        self._wait(self._read_s)
        self._listener.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._stop()
        self._read_again()
        if self._exchange is not None:
            self._exchange.leave()
        self._writable.set()
        self._listener.closed(self)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._thrown += len(data)
            if self._thrown > LINGER_BYTES:
                self.transport.abort()
            return
        self._buffer += data
        try:
            self._advance()
        except MalformedError as error:
            self._refuse(error.status, str(error))

    def eof_received(self) -> bool:
        """The client sends no more. Before the end of a body that is an error; else it is taken for leaving, as by most
        servers: a client that still reads cannot be told from one that is gone."""
        exchange = self._exchange
        if exchange is not None and not exchange.body.complete and not exchange.started and not self._lingering:
            self._refuse(400, "the connection was closed before the end of the body")
        return False

    def pause_writing(self) -> None:
        self._writable.clear()
        self._watch_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._read_again()
        self._writable.set()

    # What the listener and the exchange call

    @property
    def idle(self) -> bool:
        return self._exchange is None

    def evict(self) -> None:
        """Make room for another connection; no request has come whole on this one."""
        self._lingering = True
        self.transport.abort()

    def leave(self) -> None:
        """The server ends: answer what is under way, or on its way, and no more."""
        self._leaving = True
        if self._exchange is None and not self._lingering:
            self._wait(min(LEAVE_S, self._read_s))

    @property
    def leaving(self) -> bool:
        return self._leaving

    async def write(self, parts: Iterable[bytes]) -> None:
        """As fast as the client reads; nothing, when it has left."""
        for part in parts:
            for start in range(0, len(part), PIECE):
                await self._writable.wait()
                if self.transport.is_closing():
                    return
                self.transport.write(part[start : start + PIECE])

    def say(self, data: bytes) -> None:
        """A few bytes, now."""
        self.transport.write(data)

    def go_on(self) -> None:
        """The application has taken what was read ahead."""
        self._resume()

    def ended(self, exchange: Exchange, kept: bool) -> None:
        """The answer is written."""
        if self._exchange is not exchange:
            return
        self._exchange = None
        if self.transport.is_closing() or self._lingering:
            return
        if not kept:
            self._linger()
            return
        self._listener.rested(self)
        self._resume()
        self._wait(min(LEAVE_S, self._read_s) if self._leaving else IDLE_S)
        try:
            self._advance()
        except MalformedError as error:
            self._refuse(error.status, str(error))

    # Within

    def _advance(self) -> None:
        """Read as far as the bytes that are there lead."""
        if self._exchange is None and self._buffer:
            if (head := framing.head(self._buffer)) is None:
                if not self._begun:
                    self._begun = True
                    self._wait(self._read_s)
                return
            self._begun = False
            self._stop()
            exchange = Exchange(self, head)
            self._exchange = exchange
            exchange.feed(self._buffer)
            self._listener.start(exchange.run(self._app, self._scope(exchange)))
        elif self._exchange is not None and not self._exchange.body.complete:
            self._exchange.feed(self._buffer)
        if len(self._buffer) + (self._exchange.ahead if self._exchange else 0) > AHEAD:
            self._paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    def _scope(self, exchange: Exchange) -> Scope:
        path, _, query = exchange.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": exchange.request.http_version.decode(),
            "method": exchange.request.method.decode(),
            "scheme": "http",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": exchange.headers,
            "client": self.client,
            "server": self.transport.get_extra_info("sockname")[:2],
            "state": {},
        }

    def _wait(self, seconds: float) -> None:
        self._stop()
        self._timer = self._loop.call_later(seconds, self._slow)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _slow(self) -> None:
        self._timer = None
        if self._lingering and self.transport.get_write_buffer_size():
            self._wait(LINGER_S)  # it is being read, or `_watch_reader` ends it
        elif self._lingering:
            self.transport.abort()
        elif self._buffer:
            self._refuse(408, f"the headers did not come within {self._read_s:g} s")
        else:
            self._linger(LEAVE_S)

    def _refuse(self, status: int, reason: str) -> None:
        """Say what was wrong, if no answer has begun, and end."""
        logs.event("connection refused", status=status, reason=reason, client=self.client[0] if self.client else None)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.leave()
        if exchange is not None and exchange.started:
            self.transport.abort()  # a cut answer must not pass for a whole one
            return
        if not self.transport.is_closing():
            body = json.dumps({"error": reason}).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            writer = h11.Connection(h11.SERVER)
            self.say(writer.send(response(status, [*headers, CLOSE])) + writer.send(h11.Data(data=body)))
            self._linger()

    def _linger(self, seconds: float = LINGER_S) -> None:
        """Send what is to be sent, then the end; read on for a moment."""
        self._lingering = True
        self._buffer.clear()
        self._resume()
        if self.transport.is_closing():
            return
        self.transport.write_eof()
        self._wait(min(seconds, self._read_s))

    def _watch_reader(self, size: int) -> None:
        """The client must have read something of `size` bytes before long."""

        def look() -> None:
            if (left := self.transport.get_write_buffer_size()) < size:
                self._watch_reader(left)
            else:
                self.transport.abort()

        self._read_again()
        self._unread = self._loop.call_later(self._read_s, look)

    def _read_again(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class Exchange:
    """A request and its answer. head: of the request. Raises: MalformedError."""

    def __init__(self, connection: Connection, head: bytes):
        self._connection, self._http = connection, h11.Connection(h11.SERVER, framing.HEAD_BYTES)
        self.request, self.target, self.headers = framing.request(self._http, head)
        self.body = framing.Body(self._http)
        self.started = self._left = self._whole = False
        self._parts: list[bytes] = []
        self.ahead = 0
        """Bytes of the body that the application has not taken."""
        self._given = False
        """Whether the application has the end of the body."""
        self._changed = asyncio.Event()
        self._start: Message = {}

    def feed(self, buffer: bytearray) -> None:
        """Raises: MalformedError."""
        part = self.body.take(buffer)
        if part and not self._whole:
            self._parts.append(part)
            self.ahead += len(part)
        if part or self.body.complete:
            self._changed.set()

    def leave(self) -> None:
        """The client has closed the connection."""
        self._left = True
        self._changed.set()

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        except Exception:  # the application answers its own faults: this is one of the server
            logs.failure("bug", path=scope["path"])
        if not self._whole and not self._left:
            self._connection.transport.abort()

    async def _receive(self) -> Message:
        while not self._parts and not (self.body.complete and not self._given) and not self._left and not self._whole:
            if self._http.they_are_waiting_for_100_continue:
                wanted = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                self._connection.say(self._http.send(wanted))
            self._changed.clear()
            await self._changed.wait()
        if self._left or self._whole or self._given:
            return {"type": "http.disconnect"}
        content, self._parts, self.ahead = b"".join(self._parts), [], 0
        self._given = self.body.complete
        self._connection.go_on()
        return {"type": "http.request", "body": content, "more_body": not self._given}

    async def _send(self, message: Message) -> None:
        if self._left:
            return
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        parts = [] if self.started else [self._http.send(self._opening())]
        self.started = True
        if body and self.request.method != b"HEAD":
            parts += self._http.send_with_data_passthrough(h11.Data(data=body)) or []
        if not more:
            parts.append(self._http.send(h11.EndOfMessage()))
        await self._connection.write([b"".join(parts)] if sum(map(len, parts)) < PIECE else parts)
        if not more:
            self._whole = True
            self._changed.set()
            self._connection.ended(self, self._http.our_state is h11.DONE)

    def _opening(self) -> h11.Response:
        """The connection is kept if the body is read by now, and as h11 says."""
        headers = [(bytes(name), bytes(value)) for name, value in self._start["headers"]]
        if CLOSE not in headers and (not self.body.complete or self._connection.leaving):
            headers.append(CLOSE)
        return response(self._start["status"], headers)


def response(status: int, headers: list[tuple[bytes, bytes]]) -> h11.Response:
    """The head of an answer."""
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return h11.Response(status_code=status, headers=[(b"date", _date(int(time.time()))), *headers], reason=phrase)


@lru_cache(1)
def _date(seconds: int) -> bytes:
    """Seconds since 1970 as RFC 9110, 5.6.7 writes them; the same for all answers of a second."""
    return formatdate(seconds, usegmt=True).encode()
