"""The short way to the endpoints that predict.

FastAPI looks through all routes and solves what an endpoint depends on, in some thousand calls of Python a request: as
long as a small network computes. What it documents of these endpoints, and what it answers elsewhere, stays its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import logs
from serving.errors import GONE, ClientGoneError, RefusalError, answer

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Route:
    """As `scope["route"]`."""

    path: str
    """Its pattern: what logs and metrics call it."""
    endpoint: Endpoint


class Direct:
    """ASGI. app: answers what `find` does not know. find: by the path of a POST; it may come to know more."""

    def __init__(self, app: ASGIApp, find: Callable[[str], Route | None]):
        self._app, self._find = app, find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._find(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        begun = False

        async def reply(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            response = await route.endpoint(Request(scope, receive, reply))
            await response(scope, receive, reply)
        except RefusalError:
            raise  # to `serving.entrance`, as what is raised below
        except ClientGoneError:
            await gone()(scope, receive, reply)
        except Exception:
            if not begun:
                await fault()(scope, receive, reply)
            raise


def gone() -> Response:
    """For the log and the metrics: nobody reads it."""
    return Response(status_code=GONE)


def fault() -> Response:
    """What happened stands in the log alone."""
    return answer(500, f"a fault of this server; its log has it under {logs.REQUEST.get()}")
