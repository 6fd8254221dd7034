"""Keeps workers alive: it owns the socket, so that clients wait in its queue while a worker that died is replaced."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from serving import logs
from serving.crew import Crew
from serving.settings import Settings

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
"""Where figures are shared: they are written with every request."""


class Supervisor:
    def __init__(self, settings: Settings, arguments: list[str]):
        self._settings, self._arguments = settings, arguments
        self._crew: Crew | None = None
        self._stopping = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._forward)
        with self._reserved():
            self._socket = self._listen()

    def run(self) -> int:
        """Exit code: 0 after SIGTERM or SIGINT."""
        with ExitStack() as stack:
            self._keep(stack)
            metrics = self._measured(stack) if self._settings.way.workers > 1 else None
            self._crew = Crew(self._settings, self._arguments, self._socket, metrics)
            if self._stopping:  # since a moment ago
                self._crew.stop()
            self._crew.run()
        return 0

    def _keep(self, stack: ExitStack) -> None:
        """A folder of our own for the packages that were served last, unless one is named or there is no room."""
        if self._settings.keep is not None:
            return
        try:
            folder = tempfile.mkdtemp(prefix="stillhouse-served-")
        except OSError as error:
            logs.event("packages are not kept", 30, reason=str(error))
            return
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self._arguments = [*self._arguments, "--keep", folder]

    def _measured(self, stack: ExitStack) -> str:
        """A folder of our own for the figures of several workers. Raises: SystemExit when there is no room for it."""
        try:
            inside = MEMORY if os.access(MEMORY, os.W_OK) else None
            folder = tempfile.mkdtemp(prefix="stillhouse-metrics-", dir=inside)
        except OSError as error:
            sys.exit(f"error: several workers need a folder for their metrics: {error}; or choose --workers 1")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

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

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if self._crew is not None:
            self._crew.stop()

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if self._crew is not None:
            self._crew.tell(number)
