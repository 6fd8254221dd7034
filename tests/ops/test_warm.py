"""Processes that are forked from a server: they end, and fail, as a fresh interpreter does (`ops.warm`)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from warm import Warm as Running

from ops import warm


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running("fractions") as started:
        yield started


def test_a_message_of_the_end_is_told(running: Running) -> None:
    done = running.run([sys.executable, "-c", "import sys; sys.exit('no such file')"])
    assert (done.returncode, done.stderr) == (1, "no such file\n")


def test_threads_end_before_their_process(running: Running, tmp_path: Path) -> None:
    program = (
        "import sys, threading, time, pathlib\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), pathlib.Path('made').touch())).start()\n"
        "sys.exit(3)"
    )
    assert running.run([sys.executable, "-c", program], cwd=tmp_path).returncode == 3
    assert (tmp_path / "made").exists()


def test_an_interrupt_kills_as_an_interrupt(running: Running) -> None:
    done = running.run([sys.executable, "-c", "raise KeyboardInterrupt"])
    assert done.returncode == -signal.SIGINT and "KeyboardInterrupt" in done.stderr


def test_a_process_keeps_nothing_open_but_its_own_three(running: Running) -> None:
    done = running.run([sys.executable, "-c", "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"])
    assert done.stdout == "[0, 1, 2, 3]\n"  # 3: of the listing


@pytest.mark.parametrize("sent", [False, True], ids=["before it is asked for", "before the answer"])
def test_an_interrupt_while_a_process_begins_leaves_none(
    running: Running, monkeypatch: pytest.MonkeyPatch, sent: bool
) -> None:
    """Also where another thread takes the signal, whose mask is its own."""
    send, over = socket.send_fds, threading.Event()

    def interrupted(*given: Any) -> int:
        size = send(*given) if sent else 0
        os.kill(os.getpid(), signal.SIGINT)
        return size or send(*given)

    monkeypatch.setattr(socket, "send_fds", interrupted)
    before = psutil.Process().children()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            running.fork([sys.executable, "-c", "import time; time.sleep(60)"], None, None, [0, 1, 2])
    finally:
        over.set()
        other.join()
    time.sleep(0.1)  # for one that nobody waits for to become a child
    assert {each.pid for each in psutil.Process().children()} == {each.pid for each in before}


def test_modules_of_the_callers_path_are_imported(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text("")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with warm.Warm("elsewhere", environment=environment) as started:
        assert started.ready(30)


def test_a_fork_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process more is allowed, or there is no memory: an answer comes all the same."""
    fork, made = os.fork, []

    def once() -> int:
        if made:
            raise BlockingIOError
        made.append(True)
        return fork()

    monkeypatch.setattr(os, "fork", once)
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine, theirs:
        assert warm.forked(theirs, {}, [], signal.SIG_DFL) == b""


def test_a_server_whose_caller_is_killed_says_nothing(tmp_path: Path) -> None:
    """It has told that it is ready, and nobody has read that."""
    program = (
        "import os, sys, time\nfrom ops.warm import Warm\n"
        "started = Warm('fractions').__enter__()\ntime.sleep(1.5)\nos.kill(os.getpid(), 9)\n"
    )
    with (tmp_path / "said").open("w") as said:
        done = subprocess.run([sys.executable, "-c", program], cwd=warm.ROOT, stderr=said, check=False)
    assert done.returncode == -signal.SIGKILL
    time.sleep(0.5)
    assert (tmp_path / "said").read_text() == ""
