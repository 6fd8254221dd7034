"""SIGTERM: what is under way is answered, nothing new begins, the exit code is 0 (docs/faults.md 94)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import raw_http
import scraped
from running import ROOT, Running
from waiting import until
from waiting_requests import asked, begun, waits

Serve = Callable[..., Running]


def refuses_connections(server: Running) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60):
            return False
    except ConnectionRefusedError:
        return True


def test_requests_under_way_are_answered(serve: Serve, packages: dict[str, Path]) -> None:
    server = serve(packages["translation"], *waits(6))
    server.wait_until_ready()
    with ExitStack() as stack:
        connections = [asked(stack, server) for _ in range(5)]
        last, rest = begun(stack, server)
        connections.append(last)
        until(lambda: scraped.total(server, "stillhouse_queue_items") == 5)
        until(lambda: scraped.total(server, "stillhouse_active_requests") == 7)  # and the one that asks
        server.stop()
        server.wait_for("draining")
        until(lambda: refuses_connections(server))
        assert server.worker.is_running()
        raw_http.send(last, [rest])
        answers = [raw_http.answer(connection) for connection in connections]
        assert all(raw_http.received(connection) == b"" for connection in connections)
    assert server.process.wait(60) == 0
    assert [answer.status for answer in answers] == [200] * 6
    assert {answer.headers["connection"] for answer in answers} == {"close"}
    assert len({json.loads(answer.body)["translations"][0]["text"] for answer in answers}) == 1
    assert server.wait_for("stopped")


def test_a_balancer_notices_before_the_door_closes(serve: Serve, packages: dict[str, Path]) -> None:
    server = serve(packages["translation"], "--drain-delay-s", "2")
    server.wait_until_ready()
    server.stop()
    server.wait_for("draining", delay_s=2)
    for path in ("/ready", "/v2/health/ready"):
        answer = server.http.get(path)
        assert answer.status_code == 400
        assert answer.json() == {"ready": False, "reasons": {"server": "it is shutting down"}}
    time.sleep(0.7)
    assert server.http.get("/live").status_code == 200
    late = server.http.post("/v1/translate", json={"text": "i eat rice ."})
    assert (late.status_code, late.headers["connection"]) == (200, "close")
    assert server.process.wait(60) == 0
    with pytest.raises(httpx.ConnectError):
        server.http.get("/live")


def test_idle_connections_do_not_hold_the_end_up(serve: Serve, packages: dict[str, Path]) -> None:
    server = serve(packages["translation"])
    server.wait_until_ready()
    with raw_http.connected(server) as fresh, raw_http.connected(server) as kept:
        raw_http.send(kept, [raw_http.head("/live", "GET")])
        assert raw_http.answer(kept).status == 200
        server.stop()
        assert server.process.wait(25) == 0  # --drain-s is 30
        began, ended = (datetime.fromisoformat(server.wait_for(event)["time"]) for event in ("draining", "stopped"))
        assert ended - began < timedelta(seconds=4)
        assert raw_http.received(fresh) == raw_http.received(kept) == b""


def test_a_drain_has_an_end(serve: Serve, packages: dict[str, Path]) -> None:
    """A request that takes longer than --drain-s is told so."""
    server = serve(packages["translation"], *waits(), "--drain-s", "1", "--deadline-s", "60")
    server.wait_until_ready()
    with ExitStack() as stack:
        connection = asked(stack, server)
        until(lambda: scraped.total(server, "stillhouse_queue_items") == 1)
        server.stop()
        answer = raw_http.answer(connection)
        assert (answer.status, answer.error) == (429, "the server is shutting down; retry later")
    assert server.process.wait(60) == 0
    assert server.wait_for("stopped")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_right_after_the_start(packages: dict[str, Path], number: int) -> None:
    """While the worker is being started: it must not be left behind, nor waited for in vain."""
    command = [sys.executable, "-m", "serving", str(packages["translation"]), "--port", "0"]
    for moment in range(1, 7):
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            port = urlsplit(json.loads(process.stderr.readline())["url"]).port
            time.sleep(moment / 1000)
            process.send_signal(number)
            assert process.wait(20) == 0, f"{moment} ms after the socket was there"
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            pass


def test_an_interrupt_from_the_keyboard_drains_too(serve: Serve, packages: dict[str, Path]) -> None:
    """Ctrl-C goes to the supervisor and to the worker, which then has two signals."""
    server = serve(packages["translation"], *waits(2))
    server.wait_until_ready()
    with ExitStack() as stack:
        first, (second, rest) = asked(stack, server), begun(stack, server)
        until(lambda: scraped.total(server, "stillhouse_queue_items") == 1)
        until(lambda: scraped.total(server, "stillhouse_active_requests") == 3)
        server.worker.send_signal(signal.SIGINT)
        server.stop(signal.SIGINT)
        until(lambda: refuses_connections(server))
        raw_http.send(second, [rest])
        assert (raw_http.answer(first).status, raw_http.answer(second).status) == (200, 200)
    assert server.process.wait(60) == 0
