"""Keeps a worker alive: it owns the socket, so that clients wait in its queue while a worker that died is replaced."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from core.family import die_with_parent
from serving import logs
from serving.settings import RESTARTS, Settings

FIRST_S, LONGEST_S = 0.1, 10.0
"""Pause before a restart; doubled while workers die young."""
YOUNG_S = 30.0
KILL_S = 5.0
"""How much longer than its drain a worker may take to end."""
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "1048576"}
"""For the worker's libc: blocks from a megabyte on go back to the system when they are freed (by itself it raises that
to 32 MB, and keeps what images were decoded to: 780 MB after one of 50 million pixels, 370 MB with this)."""
BLOCKED = {signal.SIGHUP, signal.SIGINT}
"""For a worker when it starts: it would die of SIGHUP until it knows it, and unblocks it then; SIGINT, which a keyboard
sends to both, is left to the supervisor."""


class Supervisor:
    def __init__(self, settings: Settings, arguments: list[str]):
        self._settings, self._arguments = settings, arguments
        self._worker: subprocess.Popen[bytes] | None = None
        self._stopping = 0.0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._forward)
        with self._reserved():
            self._socket = self._listen()

    def run(self) -> int:
        """Exit code: 0 after SIGTERM or SIGINT."""
        with self._keeping():
            self._replace()
        return 0

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """A folder of our own for the packages that were served last, unless one is named or there is no room."""
        if self._settings.keep is not None:
            yield
            return
        try:
            folder = tempfile.mkdtemp(prefix="stillhouse-served-")
        except OSError as error:
            logs.event("packages are not kept", 30, reason=str(error))
            yield
            return
        self._arguments = [*self._arguments, "--keep", folder]
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _replace(self) -> None:
        """Start workers, one after another, until the end."""
        pause, restarts = FIRST_S, 0
        while not self._stopping:
            began = time.monotonic()
            self._worker = self._start(restarts)
            if self._stopping:  # since a moment ago, when there was no worker to tell
                self._forward(signal.SIGTERM, None)
            code = self._wait()
            if self._stopping:
                break
            restarts += 1
            pause = FIRST_S if time.monotonic() - began > YOUNG_S else min(LONGEST_S, pause * 2)
            logs.event("worker died; starting another", 40, exit_code=code, pause_s=pause, restarts=restarts)
            self._sleep(pause)

    @contextmanager
    def _reserved(self) -> Iterator[None]:
        """A port for gRPC, which takes no socket that is open already: the worker binds it when it is free again."""
        if self._settings.grpc_port is None:
            yield
            return
        with self._bound(self._settings.grpc_port, "--grpc-port") as probe:
            self._arguments = [*self._arguments, "--grpc-port", str(probe.getsockname()[1])]
            yield

    def _bound(self, port: int, flag: str) -> socket.socket:
        host = self._settings.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError as error:
            sys.exit(f"error: {host} port {port} cannot be used: {error.strerror}; choose another with {flag}")
        return bound

    def _listen(self) -> socket.socket:
        host, listening = self._settings.host, self._bound(self._settings.port, "--port")
        listening.listen(2048)
        listening.set_inheritable(True)
        where = f"[{host}]" if ":" in host else host
        logs.event("listening", url=f"http://{where}:{listening.getsockname()[1]}")
        return listening

    def _start(self, restarts: int) -> subprocess.Popen[bytes]:
        descriptor = self._socket.fileno()
        environment = {**MALLOC, **os.environ, RESTARTS: str(restarts)}
        command = [sys.executable, "-m", "serving", *self._arguments, "--fd", str(descriptor)]
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
        try:
            return subprocess.Popen(
                command,
                pass_fds=[descriptor],
                env=environment,
                preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - only a system call
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)

    def _wait(self) -> int:
        assert self._worker is not None
        while True:
            if self._stopping:
                self._socket.close()  # the worker has it still, and closes it when it takes no more
            try:
                return self._worker.wait(0.2)
            except subprocess.TimeoutExpired:
                allowed = self._settings.drain_delay_s + self._settings.drain_s + KILL_S
                if self._stopping and time.monotonic() - self._stopping > allowed:
                    self._worker.kill()

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping and (rest := end - time.monotonic()) > 0:
            time.sleep(min(0.1, rest))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if not self._stopping:
            self._stopping = time.monotonic()
        self._forward(signal.SIGTERM, frame)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if self._worker is not None and self._worker.poll() is None:
            self._worker.send_signal(number)
