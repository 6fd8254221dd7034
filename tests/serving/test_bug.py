"""A fault of the server itself: the client gets an id, the log gets the traceback."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from serving.app import Application
from serving.settings import Settings


def test_a_bug_is_told_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> httpx.Response:
        app = Application(Settings({}))

        @app.routes.get("/bug")
        async def bug() -> None:
            raise RuntimeError("a secret")

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.get("/bug", headers={"X-Request-Id": "seven"})

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert answer.json() == {"error": "a fault of this server; its log has it under seven"}
    (record,) = (record for record in caplog.records if record.getMessage() == "bug")
    assert record.exc_info is not None
    assert "a secret" in str(record.exc_info[1])
