"""A real Prefect server for all tests of deployments, and a repository folder for each."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from stand_in import FLOW, ROOT, FileServer, commit, environment, git, healthy
from warm import DVC, PREFECT, Warm


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Nothing of this repository: tests run what lies in their own copies."""
    with Warm(*DVC, *PREFECT) as running:
        yield running


@pytest.fixture(scope="session")
def server(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server with a database of its own."""
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/api"
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--no-ui",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with (home / "log").open("w") as log:
        process = warm.Popen(command, env=environment(address, home), stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 150
        while not healthy(address):
            assert process.poll() is None and time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.5)
        here = {PREFECT_API_URL: address, PREFECT_HOME: home, PREFECT_LOGGING_TO_API_ENABLED: False}
        with temporary_settings(here):
            yield address
            EventsWorker.drain_all(timeout=10)  # while there is somebody to send to
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def client(server: str) -> Iterator[SyncPrefectClient]:
    """Of the server, which is left empty."""
    with get_client(sync_client=True) as found:
        yield found
        for deployment in found.read_deployments(limit=200):
            found.delete_deployment(deployment.id)
        for pool in found.read_work_pools():
            found.delete_work_pool(pool.name)
        for variable in found.read_variables():
            found.delete_variable_by_name(variable.name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a git repository with what deploying reads, and a stand-in for the flow."""
    path = tmp_path / "repository"
    for name in ("pipelines/deploy/sensor.py", "pipelines/deployments.yaml", "params.yaml", ".dvc/config"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, path / name)
    (path / "pipelines" / "flow").mkdir()
    (path / "pipelines" / "flow" / "prefect_flow.py").write_text(FLOW)
    git(path, "init", "--quiet", "--initial-branch=main")
    commit(path)
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def files() -> Iterator[FileServer]:
    """An HTTP server with one file."""
    with FileServer() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()
