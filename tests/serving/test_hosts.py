"""A server without a token answers no page of another site (docs/faults.md 102)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from refusals import refused
from running import Running

from serving import hosts
from serving.errors import RefusalError

Serve = Callable[..., Running]
OURS = [
    "localhost",
    "LOCALHOST:8080",
    "localhost.:80",
    "a.localhost",
    "127.0.0.1:8080",
    "[::1]:8080",
    "10.1.2.3",
    "models.example:443",
]


def status(**headers: str) -> int:
    """0: it may go on."""
    try:
        hosts.check(
            [(name.encode(), value.encode()) for name, value in headers.items()], "127.0.0.1", {"models.example"}
        )
    except RefusalError as refusal:
        return refusal.status
    return 0


@pytest.mark.parametrize("host", OURS)
def test_a_name_of_ours(host: str) -> None:
    assert status(host=host) == status(host=host, origin=f"http://{host}") == 0


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "a@localhost",
        "",
        "x y",
        "[::1",
    ],
)
def test_another_name(host: str) -> None:
    assert status(host=host) == 421
    assert status(host=host, origin=f"http://{host}") == 421


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://localhost:3000",
        "http://127.0.0.1",
        "file://",
        "http://models.example.evil",
    ],
)
def test_a_page_of_another_site(origin: str) -> None:
    assert status(host="127.0.0.1:8080", origin=origin) == 403


def test_a_page_of_this_site_behind_a_proxy() -> None:
    assert status(host="127.0.0.1:8080", origin="https://models.example") == 0


def test_no_host_at_all() -> None:
    assert status() == 0


def test_the_server_says_so(server: Running) -> None:
    text = {"text": "i eat rice ."}
    for path in ("/live", "/v1/models", "/metrics", "/"):
        refused(
            server.http.get(path, headers={"Host": "evil.example"}), 421, "not called 'evil.example'.*--allowed-host"
        )
    answer = server.http.post("/v1/translate", json=text, headers={"Origin": "http://evil.example"})
    refused(answer, 403, "pages of 'http://evil.example' may not ask")
    assert server.http.post("/v1/translate", json=text, headers={"Origin": server.url}).status_code == 200


def test_a_token_and_a_name_open_the_door(serve: Serve, packages: dict[str, Path]) -> None:
    named = serve(packages["translation"], "--allowed-host", "models.example")
    assert named.http.get("/live", headers={"Host": "models.example"}).status_code == 200
    closed = serve(packages["translation"], environment={"STILLHOUSE_TOKEN": "0123456789abcdef"})
    assert (
        closed.http.get("/live", headers={"Host": "any.example", "Origin": "http://other.example"}).status_code == 200
    )
