"""A real Prefect server for all tests of deployments, and a repository folder for each."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prefect_server import PrefectServer, empty_database
from stand_in import FLOW, ROOT, FileServer, commit, git
from warm import DVC, PREFECT, Warm

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Nothing of this repository: tests run what lies in their own copies."""
    with Warm(*DVC, *PREFECT) as running:
        yield running


@pytest.fixture(scope="session")
def empty(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return empty_database(tmp_path_factory, warm)


@pytest.fixture(scope="session")
def prefect(warm: Warm, empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A Prefect server with a database of its own."""
    running = PrefectServer(tmp_path_factory.mktemp("prefect"), warm, empty)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def server(prefect: PrefectServer) -> Iterator[str]:
    """The address of the server, which Prefect in this process uses."""
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

    here = {PREFECT_API_URL: prefect.url, PREFECT_HOME: prefect.home, PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings(here):
        yield prefect.url
        EventsWorker.drain_all(timeout=10)  # while there is somebody to send to


@pytest.fixture
def client(server: str) -> Iterator[SyncPrefectClient]:
    """Of the server, which is left empty."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as found:
        yield found
        for deployment in found.read_deployments(limit=200):
            found.delete_deployment(deployment.id)
        for automation in found.read_automations():
            found.delete_automation(automation.id)
        for pool in found.read_work_pools():
            found.delete_work_pool(pool.name)
        for variable in found.read_variables():
            found.delete_variable_by_name(variable.name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a git repository with what deploying reads, and a stand-in for the flow."""
    path = tmp_path / "repository"
    flows = ("pipelines/deploy/sensor.py", "pipelines/deploy/recovery.py")
    for name in (*flows, "pipelines/deployments.yaml", "params.yaml", ".dvc/config"):
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
