"""A Prefect server process for tests, and what its API says of flows."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import once
import pytest
from warm import Warm

from pipelines.flow.server import QUIET, answers


def empty_database(factory: pytest.TempPathFactory, warm: Warm) -> Path:
    """A Prefect database without a flow, which takes seconds to make: once for what is installed. To be copied."""

    def make(path: Path) -> None:
        home = factory.mktemp("empty")
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
        done = warm.run(command, cwd=home, env=_environment({"PREFECT_HOME": str(home)}), timeout=150)
        assert done.returncode == 0, done.stdout + done.stderr
        with closing(sqlite3.connect(home / "prefect.db")) as live, closing(sqlite3.connect(path)) as copy:
            live.backup(copy)  # with what is in its journal still

    return once.in_all_runs("prefect", once.INSTALLED, make)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "STILLHOUSE_"))}
    return {**kept, **QUIET, **variables}


class PrefectServer:
    """`prefect server` with SQLite in `home`; it can be killed and started again.

    empty: what its database begins as, of `empty_database`.
    """

    def __init__(self, home: Path, warm: Warm, empty: Path, host: str = "127.0.0.1"):
        self.home, self.warm, self.host = home, warm, host
        with socket.socket() as probe:
            probe.bind((host, 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://{host}:{self.port}/api"
        shutil.copy(empty, self.home / "prefect.db")
        self.start()

    def start(self) -> None:
        words = ["-m", "prefect", "server", "start", "--no-ui", "--host", self.host, "--port", str(self.port)]
        command = [sys.executable, *words]
        environment = _environment({"PREFECT_HOME": str(self.home)})
        with (self.home / "log").open("a") as log:
            self.process = self.warm.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 150
        while not answers(self.url, 1.0):
            assert self.process.poll() is None and time.monotonic() < deadline, (self.home / "log").read_text()
            time.sleep(0.3)

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signum)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def ask(self, path: str, **body: Any) -> Any:
        """POST to the API."""
        answer = httpx.post(f"{self.url}/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def newest(self) -> dict[str, Any]:
        """The flow run that was created last."""
        return dict(self.ask("flow_runs/filter", sort="START_TIME_DESC", limit=1)[0])

    def tasks(self, flow_run: str) -> dict[str, dict[str, Any]]:
        """Task runs by name."""
        found = self.ask("task_runs/filter", flow_runs={"id": {"any_": [flow_run]}}, limit=200)
        return {run["name"]: run for run in found}

    def log(self, flow_run: str) -> list[str]:
        found = self.ask("logs/filter", logs={"flow_run_id": {"any_": [flow_run]}}, limit=200)
        return [line["message"] for line in found]

    def artifacts(self, flow_run: str) -> dict[str, Any]:
        """Artifacts by key."""
        found = self.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [flow_run]}}, limit=50)
        return {entry["key"]: entry for entry in found}
