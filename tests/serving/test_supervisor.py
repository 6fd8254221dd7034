"""A worker that dies is replaced, and its clients wait for the next one; no process is left over.

docs/faults.md 96.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import raw_http
import scraped
from running import ROOT, Running
from waiting import until
from waiting_requests import asked, begun, waits

Serve = Callable[..., Running]


def killed(server: Running) -> psutil.Process:
    """The worker, gone without a word."""
    worker = server.worker
    worker.send_signal(signal.SIGKILL)
    worker.wait(60)
    return worker


def test_another_worker_takes_over(serve: Serve, packages: dict[str, Path]) -> None:
    server = serve(packages["translation"], *waits(2))
    server.wait_until_ready()
    assert scraped.total(server, "stillhouse_worker_restarts") == 0
    with ExitStack() as stack:
        lost = asked(stack, server)
        until(lambda: scraped.total(server, "stillhouse_queue_items") == 1)
        worker = killed(server)
        assert raw_http.received(lost) == b""  # its client is not left hanging, and may ask again
        connections = [stack.enter_context(raw_http.connected(server)) for _ in range(20)]
        for connection in connections:  # these come while nobody serves: they wait in the supervisor's socket
            raw_http.send(connection, [raw_http.head("/live", "GET")])
        assert {raw_http.answer(connection).status for connection in connections} == {200}
    server.wait_until_ready()
    assert server.worker.pid != worker.pid
    assert scraped.total(server, "stillhouse_worker_restarts") == 1
    assert server.wait_for("worker died; starting another", exit_code=-signal.SIGKILL)["restarts"] == 1
    assert server.http.post("/v1/translate", json={"text": ["i eat rice ."] * 2}).status_code == 200


def test_a_worker_that_dies_again_and_again_is_started_less_often(serve: Serve, packages: dict[str, Path]) -> None:
    server = serve(packages["translation"])
    for count in range(1, 6):
        until(lambda: psutil.Process(server.process.pid).children())
        killed(server)
        died = server.wait_for("worker died; starting another", count=count)
        assert died["pause_s"] == pytest.approx(0.1 * 2**count)
    began = time.monotonic()  # of 3.2 s without a worker, in which a stop need not be waited for
    server.stop()
    assert server.process.wait(60) == 0
    assert time.monotonic() - began < 3.2


def test_a_worker_goes_when_its_supervisor_is_killed(serve: Serve, packages: dict[str, Path]) -> None:
    server = serve(packages["translation"], *waits(2))
    server.wait_until_ready()
    worker = server.worker
    with ExitStack() as stack:
        first, (second, rest) = asked(stack, server), begun(stack, server)
        until(lambda: scraped.total(server, "stillhouse_queue_items") == 1)
        until(lambda: scraped.total(server, "stillhouse_active_requests") == 3)
        server.process.kill()
        server.wait_for("draining")
        raw_http.send(second, [rest])
        assert (raw_http.answer(first).status, raw_http.answer(second).status) == (200, 200)
    gone, alive = psutil.wait_procs([worker], timeout=60)
    assert (gone, alive) == ([worker], [])
    until(lambda: _free(server.port))


def test_a_worker_goes_when_its_supervisor_is_killed_while_it_starts(serve: Serve, packages: dict[str, Path]) -> None:
    """Before it has asked to be told of its parent's end."""
    server = serve(packages["translation"])
    (worker,) = until(lambda: psutil.Process(server.process.pid).children())
    server.process.kill()
    _, alive = psutil.wait_procs([worker], timeout=30)
    for process in alive:
        process.kill()
    assert not alive


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("flag", ["--port", "--grpc-port"])
def test_a_port_in_use_is_told_in_one_line(packages: dict[str, Path], flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = start(str(packages["translation"]), "--port", "0", flag, str(port))
    assert ended.returncode == 1
    told = f"error: 127.0.0.1 port {port} cannot be used: Address already in use; choose another with {flag}\n"
    assert ended.stderr == told


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_told_in_one_line(packages: dict[str, Path], host: str) -> None:
    ended = start(str(packages["translation"]), "--host", host, "--port", "0")
    assert ended.returncode == 1
    assert "cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_socket_can_be_taken_again_at_once(serve: Serve, packages: dict[str, Path]) -> None:
    """After a restart connections of the last server linger; that must not keep the next one from its port."""
    first = serve(packages["translation"])
    first.wait_until_ready()
    port = first.port
    first.stop()
    assert first.process.wait(60) == 0
    second = Running(str(packages["translation"]), "--port", str(port))
    with second:
        assert second.url
