"""Answers that come in parts, as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html

A part is the answer of a part of the request, in order: `id` counts them from 0, `data` is JSON. The event `done` is
the last; `error` stands in its place when something fails after the first part, with `error` and `status` as HTTP would
have them. What is refused before has a status of its own, and no events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving import answers
from serving.errors import ClientGoneError, RefusalError

KIND = "text/event-stream"
HEADERS = {"Content-Type": KIND, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""The last one tells nginx to pass events on as they come."""
Tell = Callable[[bytes], Awaitable[None]]


def wanted(headers: Headers) -> bool:
    return answers.accepts(headers.get("accept", ""), KIND)


def event(data: bytes, number: int | None = None, name: str | None = None) -> bytes:
    """data: JSON in one line."""
    head = (f"id: {number}\n" if number is not None else "") + (f"event: {name}\n" if name else "")
    return head.encode() + b"data: " + data + b"\n\n"


def named(name: str, value: Any) -> bytes:
    return event(b"".join(answers.json(value)), name=name)


class Stream(Response):
    """work: is given what sends an event; nothing is sent before the first one, so it may refuse until then."""

    def __init__(self, work: Callable[[Tell], Awaitable[None]]):
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = cut = False

        async def tell(content: bytes) -> None:
            nonlocal begun, cut
            if not begun:
                begun = True
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            cut = True
            await send({"type": "http.response.body", "body": content, "more_body": True})
            cut = False

        try:
            await self._work(tell)
        except RefusalError as refusal:
            if not begun:
                raise
            if cut:  # the deadline passed while the client did not read: what follows would stand within that event
                return
            await tell(named("error", {"error": refusal.reason, "status": refusal.status}))
        except ClientGoneError:
            if not begun:
                raise
            return  # nobody reads an end
        await send({"type": "http.response.body", "body": b"", "more_body": False})
