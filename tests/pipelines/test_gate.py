"""The gate before Prefect's and MLflow's servers: who is let through."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pipelines.gate import Gate

HOSTS = ["127.0.0.1:4200", "localhost:4200", "[::1]:4200", "prefect:*"]
OWN = {"host": "127.0.0.1:4200"}
MARK = "Basic c3RpbGxob3VzZTpzZWNyZXQ="  # stillhouse:secret


async def inner(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


def ask(headers: dict[str, str], password: str = "", **scope: Any) -> list[dict[str, Any]]:
    """What is sent for a request."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    asked = {"type": "http", "method": "GET", "path": "/api/flows", "headers": pairs, **scope}
    asyncio.run(Gate(inner, HOSTS, password)(asked, receive, send))
    return sent


def status(headers: dict[str, str], password: str = "", **scope: Any) -> int:
    return int(ask(headers, password, **scope)[0]["status"])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:4200", 200),
        ("LOCALHOST:4200", 200),
        ("[::1]:4200", 200),
        ("prefect:1234", 200),
        ("prefect", 200),
        ("", 421),
        ("rebound.example:4200", 421),
        ("127.0.0.1:4201", 421),
        ("127.0.0.1", 421),
        ("127.0.0.1:4200.rebound.example", 421),
        ("prefect.rebound.example:4200", 421),
    ],
)
def test_only_hosts_by_which_the_server_is_known(host: str, expected: int) -> None:
    assert status({"host": host}) == expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://127.0.0.1:4200", 200),
        ("https://127.0.0.1:4200", 200),  # behind a proxy with TLS
        ("http://localhost:4200", 200),
        ("http://localhost:8000", 403),
        ("http://127.0.0.1", 403),
        ("https://evil.example", 403),
        ("https://127.0.0.1:4200.evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_only_pages_of_the_server_itself(origin: str, expected: int, method: str) -> None:
    assert status({**OWN, "origin": origin}, method=method) == expected


@pytest.mark.parametrize(
    ("site", "mode", "dest", "method", "expected"),
    [
        ("same-origin", "cors", "empty", "GET", 200),
        ("none", "navigate", "document", "GET", 200),
        ("cross-site", "navigate", "document", "GET", 200),  # a link to the page
        ("cross-site", "navigate", "document", "POST", 403),  # a form
        ("cross-site", "navigate", "iframe", "GET", 403),
        ("cross-site", "no-cors", "script", "GET", 403),
        ("same-site", "no-cors", "image", "GET", 403),
    ],
)
def test_what_browsers_tell_without_an_origin(site: str, mode: str, dest: str, method: str, expected: int) -> None:
    told = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    assert status({**OWN, **told}, method=method) == expected


@pytest.mark.parametrize(
    ("given", "path", "expected"),
    [
        (MARK, "/api/flows", 200),
        (None, "/api/flows", 401),
        ("Basic c3RpbGxob3VzZTp3cm9uZw==", "/api/flows", 401),
        ("Bearer secret", "/api/flows", 401),
        (None, "/health", 200),
        (None, "/api/health", 200),
        (None, "/health/../api/flows", 401),
        (None, "/x/health", 401),
    ],
)
def test_the_password(given: str | None, path: str, expected: int) -> None:
    headers = {**OWN, **({"authorization": given} if given else {})}
    assert status(headers, "stillhouse:secret", path=path) == expected


def test_a_browser_is_told_to_ask_for_the_password() -> None:
    (start, _) = ask(OWN, "stillhouse:secret")
    assert (b"www-authenticate", b'Basic realm="stillhouse", charset="UTF-8"') in start["headers"]


def test_a_websocket_of_another_page_is_closed_before_it_is_accepted() -> None:
    assert ask({**OWN, "origin": "https://evil.example"}, type="websocket") == [
        {"type": "websocket.close", "code": 1008}
    ]


def test_no_other_page_may_frame_the_server() -> None:
    (start, _) = ask(OWN)
    assert (b"content-security-policy", b"frame-ancestors 'self'") in start["headers"]
