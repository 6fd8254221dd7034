"""`python -m serving` in a process of its own, as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]


class Running:
    """A server on a free port of 127.0.0.1; its log is kept. As a context manager it is started and ended."""

    def __init__(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        threads: int | None = 1,
        workers: int | None = 1,
    ):
        self._arguments, self._environment = arguments, environment or {}
        given = {"--threads": threads, "--workers": workers}
        self._way = [word for name, value in given.items() if value is not None for word in (name, str(value))]
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        self.url = ""

    def __enter__(self) -> Running:
        command = [sys.executable, "-m", "serving", *self._arguments, "--port", "0", *self._way]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "STILLHOUSE_"))}
        environment |= {"PYTHONPATH": str(ROOT), **self._environment}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=self._log)
        self.url = self.wait_for("listening")["url"]
        self.http = httpx.Client(base_url=self.url, timeout=60)
        return self

    def __exit__(self, *exception: object) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.stop()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def worker(self) -> psutil.Process:
        """The process that serves."""
        (worker,) = self.workers
        return worker

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    @property
    def logged(self) -> int:
        """Bytes of the log so far."""
        return os.fstat(self._log.fileno()).st_size

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """Events so far, or behind the first `since` bytes; a line that is no JSON stands under `text`."""
        # not read(): the server writes where this file's position is
        lines = os.pread(self._log.fileno(), self.logged - since, since).decode().splitlines()
        return [json.loads(line) if line.startswith("{") else {"event": "", "text": line} for line in lines]

    def wait_for(self, event: str, seconds: float = 60, count: int = 1, **fields: Any) -> dict[str, Any]:
        """The `count`-th such event of the log."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = [e for e in self.log() if e["event"] == event and fields.items() <= e.items()]
            if len(found) >= count:
                return found[count - 1]
            time.sleep(0.05)
        raise TimeoutError(f"no {event!r} {fields} within {seconds} s in {self.log()}")

    def wait_until_ready(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.http.get("/ready").status_code == 200:
                    return
            except httpx.TransportError:  # not listening yet, or between two workers
                pass
            time.sleep(0.05)
        raise TimeoutError(f"not ready within {seconds} s: {self.http.get('/ready').text}")
