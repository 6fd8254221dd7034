"""The ASGI application: models, routes, and what every request passes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving import inference, pages, plain, schemas
from serving.board import Seat
from serving.direct import Direct, Route, fault, gone
from serving.entrance import Entrance
from serving.errors import ClientGoneError, RefusalError, answer
from serving.metrics import Metrics
from serving.models import Models
from serving.settings import Settings

DESCRIPTION = "Packaged models that have proven themselves: passport verified, golden samples predicted again."
OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own telemetry, which would tell a collector paths and queries; `tracing` has what we tell."""


INFER = re.compile(r"/v2/models/([^/]+)/infer")


class Application:
    """ASGI. `models` is what it serves; it starts to load when the server starts, which answers meanwhile."""

    def __init__(self, settings: Settings, seat: Seat | None = None):
        """seat: of this process among several workers."""
        self.settings, self.metrics = settings, Metrics(seat)
        self.roles: dict[str, Any] = {}
        """Roles `serve` by task: of every package that there is, or was since the start."""
        self.routes = self._fastapi()
        self._direct: dict[str, Route] = {}
        """By path."""
        self.models = Models(settings, self.metrics, self.mount, seat)
        self._infer = inference.endpoint(self.models)
        self.metrics.watch(self.models)
        self._add_routes()
        self.models.announce()
        self._entered: ASGIApp = Entrance(Direct(self.routes, self._find), self.models, self.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._entered(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the models, and look for new versions; at the end, compute what waits."""
        working = [asyncio.create_task(self.models.watch()), asyncio.create_task(self.metrics.publish(self.models))]
        yield
        for task in working:
            task.cancel()
        await self.models.close()

    def mount(self, task: str, role: Any) -> None:
        """Let a task's endpoint be there and be documented; its part of the page comes with its folder."""
        if task in self.roles:
            return
        if role.VERB not in (known.VERB for known in self.roles.values()):  # two tasks may share one
            asked, path = plain.endpoint(self.models, role), f"/v1/{role.VERB}"
            self.routes.include_router(plain.router(asked, role))
            self._direct[path] = Route(path, lambda request: asked(request, request.query_params.get("model")))
        self.roles[task] = role
        self.routes.openapi_schema = None  # FastAPI makes it anew when it is asked for

    def _find(self, path: str) -> Route | None:
        """The short way to what is asked most."""
        if (found := self._direct.get(path)) is not None:
            return found
        if (match := INFER.fullmatch(path)) is None:
            return None
        name = match[1]
        return Route("/v2/models/{name}/infer", lambda request: self._infer(request, name, None))

    def _fastapi(self) -> FastAPI:
        return _Documented(
            roles=self.roles,
            title="Stillhouse",
            version=inference.VERSION,
            description=DESCRIPTION,
            telemetry=OFF,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,  # it would send clients to whatever their Host header says
        )

    def _add_routes(self) -> None:
        app = self.routes
        app.add_exception_handler(RefusalError, _refused)
        app.add_exception_handler(ClientGoneError, _gone)
        app.add_exception_handler(HTTPException, _http)
        app.add_exception_handler(Exception, _bug)

        app.include_router(pages.about(self.models))
        app.include_router(inference.router(self.models, self._infer))

        @app.get("/live", tags=["Health"], summary="As /v2/health/live", responses=schemas.okay("It is"))
        async def live() -> Response:
            return inference.readiness({})

        @app.get("/ready", tags=["Health"], summary="As /v2/health/ready", responses=schemas.ready())
        async def ready(request: Request) -> Response:
            return inference.readiness(self.models.unready(), request.state.known)

        @app.get(
            "/metrics",
            tags=["Health"],
            summary="For Prometheus",
            responses=schemas.refusals(401, 403, 421, 429),
            response_class=PlainTextResponse,
        )
        async def metrics() -> Response:
            return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

        app.include_router(pages.router(self.roles))


class _Documented(FastAPI):
    """Whose documentation is of the tasks that are served."""

    def __init__(self, roles: dict[str, Any], **options: Any):
        super().__init__(**options)
        self._roles = roles

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schemas.complete(super().openapi(), self._roles.values())
        assert self.openapi_schema is not None
        return self.openapi_schema


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)
    return error.response()


async def _gone(request: Request, error: Exception) -> Response:
    return gone()


async def _http(request: Request, error: Exception) -> Response:
    """Starlette's own: no such path, no such method."""
    assert isinstance(error, HTTPException)
    return answer(error.status_code, str(error.detail), dict(error.headers or {}))


async def _bug(request: Request, error: Exception) -> Response:
    """Starlette raises it again, to `serving.entrance`."""
    return fault()
