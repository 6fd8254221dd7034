"""Prefect's server for a flow: the one that is configured, else one of this repository's own.

    PREFECT_API_URL, or the active profile in ~/.prefect/profiles.toml     a server that runs already
    neither, or it does not answer                                         `prefect server` with SQLite in .stillhouse

The own server starts beside the first stages (its first start migrates a database and takes twenty seconds), is started
again when it dies and ends with the flow. `python -m pipelines.flow.server` (or `make flow-ui`) shows its runs later.
It is behind `pipelines.gate` and asks for the password of `pipelines.flow.access`: any web page could else start code.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from core.address import public
from core.errors import StillhouseError
from core.family import die_with_parent
from pipelines import gate
from pipelines.flow import access

HOME = access.HOME
GATE = Path(gate.__file__).resolve()
"""Run as a file: the working directory need not be this repository."""
START_S = 120.0
ANSWER_S = 5.0
QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLI_PROMPT": "false",
}
"""No telemetry, no advertisements."""


def configured() -> str | None:
    """The URL of the API that the user has set up, None without one."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    home = Path(os.environ.get("PREFECT_HOME", Path.home() / ".prefect"))
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text(encoding="utf-8"))
        active = os.environ.get("PREFECT_PROFILE") or profiles["active"]
        return str(profiles["profiles"][active]["PREFECT_API_URL"])
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError):
        return None


def answers(url: str, timeout: float = ANSWER_S) -> bool:
    """Whether a Prefect API is alive at `url`."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=timeout) as reply:  # noqa: S310 - the user's own setting
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError, ValueError):
        return False


class OwnServer:
    """A `prefect server` process with its database in `.stillhouse/prefect`, watched and restarted."""

    def __init__(self) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.restarts = 0
        self._ending = threading.Event()
        self._ready = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="prefect server", daemon=True)
        self._thread.start()

    def wait(self, timeout: float = START_S) -> bool:
        """Until it answers. Returns: whether it does."""
        return self._ready.wait(timeout) and answers(self.url)

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def _watch(self) -> None:
        """Start it, start it again when it dies; the thread is the process's parent for the kernel."""
        while not self._ending.is_set():
            self._process = subprocess.Popen(
                _command(self.port),
                env={**os.environ, **own_environment(), **access.server(self.port)},
                stdin=subprocess.DEVNULL,
                stdout=_log(),
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is the flow's to handle
                preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - only a system call
            )
            while self._process.poll() is None and not self._ending.is_set():
                if not self._ready.is_set() and answers(self.url, 1.0):
                    self._ready.set()
                self._ending.wait(0.25)
            if not self._ending.is_set():
                self.restarts += 1
                self._ending.wait(min(10.0, self.restarts))
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def own_environment() -> dict[str, str]:
    """What makes Prefect, server and client, keep everything in this repository."""
    home = access.home()
    database = f"sqlite+aiosqlite:///{home / 'prefect.db'}"
    return {**QUIET, "PREFECT_HOME": str(home), "PREFECT_API_DATABASE_CONNECTION_URL": database}


def _command(port: int) -> list[str]:
    return [sys.executable, str(GATE), "prefect", "--host", "127.0.0.1", "--port", str(port)]


def _log() -> int:
    return os.open(HOME / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Prefect's UI on the flows that ran here.")
    parser.add_argument("--port", type=int, default=4200)
    port = parser.parse_args().port
    if url := configured():
        print(f"Prefect is configured: open {public(url).removesuffix('/api')}")
        return
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise StillhouseError(f"port {port} is taken; choose another: --port N")
    url = f"http://127.0.0.1:{port}"
    print(f"Prefect's UI: {url} (Ctrl-C ends it)")
    print(f"A browser is asked once for the password: {access.password()}", flush=True)
    started = time.monotonic()
    with access.offered(f"{url}/api"):
        code = _serve(port)
    if code not in (0, 128 + signal.SIGTERM) and time.monotonic() - started < START_S:
        print(f"error: the server ended with {code}, see {HOME / 'server.log'}", file=sys.stderr)
    sys.exit(code)


def _serve(port: int) -> int:
    """Run a server until it ends, or until this process is asked to. Returns: the exit code of both."""
    process = subprocess.Popen(
        _command(port),
        env={**os.environ, **own_environment(), **access.server(port)},
        stdin=subprocess.DEVNULL,
        stdout=_log(),
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - only a system call
    )
    asked: list[int] = []

    def stop(signum: int, _frame: Any) -> None:
        asked.append(signum)
        process.terminate()

    for signum in (signal.SIGTERM, signal.SIGINT):  # Ctrl-C reaches the server by itself, a second one does no harm
        signal.signal(signum, stop)
    code = process.wait()
    return (0 if asked[0] == signal.SIGINT else 128 + asked[0]) if asked else code


if __name__ == "__main__":
    try:
        main()
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
