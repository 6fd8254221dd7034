"""A line of JSON for every event, an id for every request."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import raw_http
from running import ROOT, Running


def test_every_line_of_the_log_is_an_event(server: Running) -> None:
    server.http.get("/v1/models", headers={"X-Request-Id": "look-1"})
    with raw_http.connected(server) as connection:
        raw_http.send(connection, [b"no http\r\n\r\n"])
        raw_http.received(connection)
    server.wait_for("request", request_id="look-1")
    for event in server.log():
        assert event["event"], event
        assert event["level"] in ("info", "warning", "error")
        assert datetime.fromisoformat(event["time"]).tzinfo is not None


def test_the_line_of_a_request(server: Running) -> None:
    server.http.post("/v1/translate?model=none", content=b"{}", headers={"X-Request-Id": "line-1"})
    line = server.wait_for("request", request_id="line-1")
    assert line.pop("ms") >= 0
    assert {key: line[key] for key in ("method", "path", "status", "client")} == {
        "method": "POST",
        "path": "/v1/translate",
        "status": 404,
        "client": "127.0.0.1",
    }


def test_health_checks_do_not_fill_the_log(server: Running) -> None:
    for path in ("/live", "/ready", "/v2/health/live", "/v2/health/ready", "/metrics"):
        server.http.get(path, headers={"X-Request-Id": "quiet-1"})
    server.http.get("/v1/models", headers={"X-Request-Id": "loud-1"})
    server.wait_for("request", request_id="loud-1")
    assert [event for event in server.log() if event.get("request_id") == "quiet-1"] == []


@pytest.mark.parametrize("path", ["/v1/models", "/nothing", "/", "/v2/models/none", "/live"])
@pytest.mark.parametrize("given", ["7", "a-b_c.d:e", "x" * 64])
def test_a_harmless_request_id_comes_back(server: Running, path: str, given: str) -> None:
    assert server.http.get(path, headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", "x" * 65, "two words", "<b>", '"}', "a\tb", "\xe4", "../..", "${jndi:ldap://x}", "a\\nb"]
)
def test_another_request_id_is_replaced(server: Running, given: str) -> None:
    answer = server.http.get("/v1/models", headers=[(b"X-Request-Id", given.encode("latin-1"))])
    made = answer.headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    server.wait_for("request", request_id=made)
    assert server.http.get("/v1/models").headers["x-request-id"] != made


def test_a_log_for_people(packages: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "serving", str(packages["translation"]), "--port", "0", "--text-log"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.terminate()
        assert re.fullmatch(r"\d\d:\d\d:\d\d info    listening url=http://127.0.0.1:\d+\n", line)
