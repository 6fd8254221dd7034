"""What every request passes first: its id, its token, a bound on how many there are, its line in the log."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import logs, tracing
from serving.access import Access, unknown
from serving.errors import GONE, RefusalError, busy
from serving.listener import descriptors
from serving.metrics import Metrics
from serving.models import Models

ACTIVE = 1024
"""Requests at once, where the system lets us have twice as many files; a queue's bound is per model and comes later."""
HEALTH = ("/live", "/ready", "/v2/health/live", "/v2/health/ready")
"""Answered however many requests there are."""
OPEN = ("/live", "/ready", "/v2/health/live", "/v2/health/ready", "/v2", "/", "/docs", "/openapi.json")
"""What needs no token: it tells nothing of models."""
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Entrance:
    def __init__(self, app: ASGIApp, models: Models, metrics: Metrics):
        settings = models.settings
        self._app, self._models, self._metrics = app, models, metrics
        self._access = Access(settings)
        self._active, self._most = 0, min(ACTIVE, descriptors() // 2)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), GONE
        request = logs.request_id(scope["headers"])
        logs.REQUEST.set(request)

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request.encode()), *HEADERS]
                if self._models.draining:  # the next request of this client belongs to another server
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        self._active += 1
        self._metrics.active.set(self._active)
        try:
            with tracing.request(scope["method"], _Headers(scope)) as span:
                try:
                    self._admit(scope)
                    client = str(scope["client"][0]) if scope.get("client") else ""
                    with self._models.budget.lease(client) as lease:
                        scope["state"] |= {"client": client, "lease": lease}
                        await self._app(scope, receive, reply)
                except RefusalError as refusal:
                    await refusal.response()(scope, receive, reply)
                except asyncio.CancelledError:  # the server has waited for this request as long as it may
                    if status == GONE:
                        await busy("the server is shutting down; retry later").response()(scope, receive, reply)
                except Exception:  # answered already: `serving.app`
                    logs.failure("bug", path=scope["path"])
                route = _route(scope)
                if span is not None:
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attributes({"http.route": route, "http.response.status_code": status})
        finally:
            self._active -= 1
            self._metrics.active.set(self._active)
            self._finish(scope, status, time.perf_counter() - began)

    def _admit(self, scope: Scope) -> None:
        if self._active > self._most and scope["path"] not in HEALTH:
            raise busy(f"more than {self._most} requests at once; retry later")
        known = self._access.known(scope["headers"])
        scope.setdefault("state", {})["known"] = known
        if not known and scope["path"] not in OPEN and not scope["path"].startswith("/page/"):
            raise unknown()

    def _finish(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route(scope)
        self._metrics.answered(route, status, seconds)
        quiet = scope["path"] in OPEN or route == "/metrics"
        client = scope["client"][0] if scope.get("client") else None
        logs.event(
            "request",
            logging.DEBUG if quiet and status < 400 else logging.INFO,
            method=scope["method"],
            path=scope["path"][:256],
            status=status,
            ms=round(seconds * 1000, 2),
            client=client,
        )


def _route(scope: Scope) -> str:
    """The route's pattern: paths that clients make up must not become labels without end."""
    return str(getattr(scope.get("route"), "path", "unknown"))


class _Headers(dict[str, str]):
    def __init__(self, scope: Scope):
        pairs: Any = scope["headers"]
        super().__init__({name.decode("latin-1"): value.decode("latin-1") for name, value in pairs})
