"""The short way to what predicts: it is what is documented, and nothing that goes wrong on it goes elsewhere."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from core import task
from serving.app import Application
from serving.direct import Direct, Route
from serving.errors import ClientGoneError, RefusalError
from serving.settings import Settings


def test_it_leads_to_the_endpoints_that_are_documented() -> None:
    async def paths() -> tuple[Application, list[str]]:
        app = Application(Settings({}))
        for name in ("translation", "detection"):
            app.mount(name, task.load(name, "serve"))
        documented = app.routes.openapi()["paths"]
        return app, [path for path, verbs in documented.items() if "post" in verbs]

    app, documented = asyncio.run(paths())
    direct = [route.path for path in documented if (route := app._find(path.replace("{name}", "m")))]
    assert sorted(direct) == ["/v1/detect", "/v1/translate", "/v2/models/{name}/infer"]
    assert [app._find(path) for path in ("/v1/classify", "/v1/translate/", "/v2/models/a/b/infer", "/v1/models")] == [
        None
    ] * 4


def sent(endpoint: Any, method: str = "POST") -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []

    async def other(scope: Any, receive: Any, send: Any) -> None:
        await Response("elsewhere")(scope, receive, send)

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        raise AssertionError

    async def ask() -> None:
        scope = {"type": "http", "method": method, "path": "/a", "headers": [], "query_string": b""}
        await Direct(other, {"/a": Route("/a", endpoint)}.get)(scope, receive, send)

    try:
        asyncio.run(ask())
    except (RefusalError, ZeroDivisionError) as error:
        messages.append({"raised": type(error)})
    return messages


def test_what_goes_wrong_is_answered() -> None:
    def raising(error: Exception) -> Any:
        async def endpoint(request: Request) -> Response:
            raise error

        return endpoint

    start, body, raised = sent(raising(ZeroDivisionError()))
    assert (start["status"], raised) == (500, {"raised": ZeroDivisionError})
    assert json.loads(body["body"])["error"].startswith("a fault of this server; its log has it under")
    assert sent(raising(RefusalError(404, "no"))) == [{"raised": RefusalError}]  # which the entrance answers
    assert sent(raising(ClientGoneError()))[0]["status"] == 499
    assert sent(raising(ZeroDivisionError()), "GET")[1]["body"] == b"elsewhere"


def test_an_answer_that_has_begun_is_not_followed_by_another() -> None:
    class Half(Response):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise ZeroDivisionError

    async def endpoint(request: Request) -> Response:
        return Half()

    assert [message.get("status") for message in sent(endpoint)] == [200, None]
