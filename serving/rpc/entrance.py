"""What every call passes: its id, its token, its share of the memory while it comes, its line in the log.

No page of another site can call: browsers speak HTTP/2 over TLS alone, which is not here. One that names its origin, by
way of a proxy, is held to the rules of `serving.hosts` all the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import grpc

from serving import logs, tracing
from serving.access import Access, Headers, unknown
from serving.admission import Admission
from serving.answers import Answer
from serving.budget import Lease
from serving.errors import RefusalError, busy
from serving.metrics import Metrics
from serving.models import Models
from serving.rpc.gate import Gate
from serving.rpc.messages import SERVICE
from serving.settings import Settings

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""Of a refusal's status over HTTP."""
PASSED_S = 0.01
"""Of its time a call has so much left when it is refused for its deadline, at most."""
WAITS = 4
"""A message that comes may be as large as the limit until it is there: so many times what is held for all of them is
what requests may hold together."""


def message_bytes(settings: Settings) -> int:
    """Of a message, at most: what a body may have, and no more than a client may hold."""
    return min(int(settings.body_mb * 1e6), int(settings.requests_mb * 1e6) // WAITS)


@dataclass(frozen=True)
class Call:
    """One call, whose message is read when its method wants it."""

    client: str
    lease: Lease
    limit_s: float
    """Until its deadline."""
    read: Callable[[], Awaitable[bytes]]
    """The message. Raises: RefusalError."""


Method = Callable[[Call], Awaitable[Answer]]


class Entrance:
    """most: calls at once, of which one client has half: whose queue they wait in, only their messages tell."""

    def __init__(self, models: Models, metrics: Metrics, most: int):
        settings = models.settings
        self._models, self._metrics, self._settings = models, metrics, settings
        self._access, self._most = Access(settings), message_bytes(settings)
        self._admission = Admission("gRPC", max(1, most // 2), lambda: 1.0)
        self._gate = Gate(max(1, int(settings.requests_mb * 1e6) // 2 // self._most))

    def handler(self, name: str, method: Method, public: bool) -> Any:
        """For `grpc.method_handlers_generic_handler`. public: asked without a token.

        The client sends one message; it is taken as a stream, so that none is received before its turn.
        """

        async def called(stream: AsyncIterator[bytes], context: Any) -> bytes:
            headers = [(key.encode(), _bytes(value)) for key, value in context.invocation_metadata() or ()]
            request = logs.request_id(headers)
            logs.REQUEST.set(request)
            began, code, client = time.perf_counter(), grpc.StatusCode.CANCELLED, address(context.peer())
            route, task, lease = f"/{SERVICE}/{name}", asyncio.current_task(), Lease(self._models.budget, client)
            assert task is not None
            task.add_done_callback(lambda _: lease.resize(0))  # not before the answer is sent
            trailing: list[tuple[str, str]] = [("x-request-id", request)]
            answer, reason = b"", ""
            try:
                with tracing.request(route, {key.decode(): value.decode("latin-1") for key, value in headers}):
                    answer = await self._answered(method, public, headers, lease, client, stream, context)
                code = grpc.StatusCode.OK
            except RefusalError as refusal:
                code, reason = CODES.get(refusal.status, grpc.StatusCode.FAILED_PRECONDITION), refusal.reason
                left = context.time_remaining()
                if refusal.status == 429 and left is not None and left < PASSED_S:
                    code = grpc.StatusCode.DEADLINE_EXCEEDED
                trailing += [(key.lower(), value) for key, value in refusal.headers.items() if key != "Connection"]
            except Exception:
                code, reason = grpc.StatusCode.INTERNAL, f"a fault of this server; its log has it under {request}"
                logs.failure("bug", path=route)
            finally:
                self._finish(route, code, time.perf_counter() - began, client, public)
            if code is not grpc.StatusCode.OK:
                await context.abort(code, reason, tuple(trailing))
            context.set_trailing_metadata(tuple(trailing))
            return answer

        return grpc.stream_unary_rpc_method_handler(called)

    async def _answered(
        self,
        method: Method,
        public: bool,
        headers: Headers,
        lease: Lease,
        client: str,
        stream: AsyncIterator[bytes],
        context: Any,
    ) -> bytes:
        if not self._access.known(headers) and not public:
            raise unknown()
        left = context.time_remaining()
        limit_s = min(self._settings.deadline_s, left) if left is not None else self._settings.deadline_s
        call = Call(client, lease, limit_s, lambda: self._read(client, lease, stream))
        if public:
            answer = await method(call)  # however many calls there are
        else:
            with self._admission.enter(client):
                answer = await method(call)
        return b"".join(answer.pieces)

    async def _read(self, client: str, lease: Lease, stream: AsyncIterator[bytes]) -> bytes:
        seconds = self._settings.read_s
        async with AsyncExitStack() as place:
            try:
                async with asyncio.timeout(seconds):
                    await place.enter_async_context(self._gate.enter(client))
            except TimeoutError:
                raise busy(f"other messages came for {seconds:g} s, and this one had no turn; retry later") from None
            lease.resize(self._most)
            try:
                async with asyncio.timeout(seconds):
                    content = await anext(aiter(stream), b"")
            except TimeoutError:
                raise RefusalError(408, f"the message did not come within {seconds:g} s") from None
        lease.resize(len(content))
        return content

    def _finish(self, route: str, code: grpc.StatusCode, seconds: float, client: str, public: bool) -> None:
        self._metrics.answered(route, code.name, seconds)
        level = logging.DEBUG if public and code is grpc.StatusCode.OK else logging.INFO
        logs.event(
            "request", level, method="gRPC", path=route, status=code.name, ms=round(seconds * 1000, 2), client=client
        )


def address(peer: str) -> str:
    """Of `ipv4:127.0.0.1:54321` or `ipv6:%5B::1%5D:54321`, the client's as REST has it."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def _bytes(value: str | bytes) -> bytes:
    return value.encode("latin-1", "replace") if isinstance(value, str) else value
