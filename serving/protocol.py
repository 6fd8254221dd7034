"""uvicorn's HTTP/1.1 with bounds that it lacks: on the time and the size of what is no body, and on clients that do not
read; and an answer to a body that ends too early."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving import logs

HEADER_BYTES = 32 * 1024
PART_BYTES = 8 * 1024
"""Parsed at once, and not counted when a request begins in it."""


class Protocol(HttpToolsProtocol):
    read_s: ClassVar[float] = 30.0
    """Set by the worker from its settings: one a process."""

    _timer: asyncio.TimerHandle | None = None
    """Runs while headers are awaited, or a client sends after its answer."""
    _begun = False
    """Whether a request's headers have begun and not ended."""
    _size = 0
    """Bytes since a request began or the last of its body came: headers, trailers, extensions of chunks."""
    _unread: asyncio.TimerHandle | None = None
    """Runs while an answer waits for the client to read."""
    _computed: RequestResponseCycle | None = None
    """The request that is answered now or was last; others may wait behind it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.read_s, self._slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._read_again()
        if self._computed is not None and not self._computed.response_complete:  # uvicorn tells but the newest request
            self._computed.disconnected = True
            self._computed.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), PART_BYTES):
            part = data[start : start + PART_BYTES]
            self._size += len(part)
            super().data_received(part)
            if not self.transport.is_closing() and self._size > HEADER_BYTES:
                self._large()
            if self.transport.is_closing():
                return
        if self._timer is None and self.cycle is not None and self.cycle.response_complete:
            self._timer = self.loop.call_later(self.read_s, self._slow)  # uvicorn's own has been stopped by the data

    def eof_received(self) -> None:
        """The client sends no more. Before the end of a body that is an error; else it is taken for leaving, as by
        most servers: a client that still reads cannot be told from one that is gone."""
        cycle = self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_started and not self.transport.is_closing():
            self._refuse(400, "the connection was closed before the end of the body")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun, self._size = True, 0
        if self._timer is None:  # a later request of a kept connection
            self._timer = self.loop.call_later(self.read_s, self._slow)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._begun:  # a trailer must not pass for a header that a proxy has seen
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEADER_BYTES:
            self._large()
            raise ValueError  # they came at once; the parser stops
        self._begun = False
        self._stop()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._computed = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        self._size = 0
        super().on_body(body)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._read_again()
        super().resume_writing()

    def _watch_reader(self, size: int) -> None:
        """The client must have read something of `size` bytes before long."""

        def look() -> None:
            if (left := self.transport.get_write_buffer_size()) < size:
                self._watch_reader(left)
            else:
                self.transport.abort()

        self._unread = self.loop.call_later(self.read_s, look)

    def _read_again(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            self._refuse(400, "this is no HTTP/1.1 request")

    def _slow(self) -> None:
        self._timer = None
        if self._begun:
            self._refuse(408, f"the headers did not come within {self.read_s:g} s")
        else:
            self.transport.close()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _large(self) -> None:
        self._refuse(431, f"the headers or trailers are larger than {HEADER_BYTES} bytes")

    def _refuse(self, status: int, reason: str) -> None:
        logs.event("connection refused", status=status, reason=reason, client=self.client[0] if self.client else None)
        computed = self._computed
        if self._begun or computed is None:
            turn = computed is None or (computed.response_complete and not self.pipeline)
        else:
            turn = computed is self.cycle and not computed.response_started
        if turn and not self.flow.write_paused:  # else it would be taken for the answer to another request
            body = json.dumps({"error": reason}).encode()
            head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()


def configured(read_s: float) -> type[Any]:
    Protocol.read_s = read_s
    return Protocol
