"""Deployments that a real worker of Prefect runs: the code at its commit, and a sensor from change to run."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pipeline_copy
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun
from stand_in import FLOW, ROOT, commit, environment, events
from warm import Warm

from core import task

pytestmark = pytest.mark.servers

HERE = {"pools": {"local": {"type": "process"}, "sensors": {"type": "process"}}}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What git tracks of this repository, with a stand-in for the flow."""
    path = tmp_path / "repository"
    pipeline_copy.make(path, preset=None)
    (path / "pipelines" / "flow" / "prefect_flow.py").write_text(FLOW)
    commit(path)
    return path


class Site:
    """A server, a repository, and the processes between them."""

    def __init__(self, client: SyncPrefectClient, server: str, repository: Path, warm: Warm):
        self.client, self.repository, self.warm = client, repository, warm
        self.written = repository.parent / "written.json"
        self.environment = {**environment(server, repository.parent), "STAND_IN": str(self.written)}

    def run(self, where: Path, *command: str) -> str:
        done = self.warm.run([sys.executable, "-m", *command], cwd=where, env=self.environment, timeout=150)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def deploy(self, deployments: dict[str, Any]) -> None:
        path = self.repository.parent / "file.yaml"
        path.write_text(json.dumps({**HERE, "deployments": deployments}))
        self.run(self.repository, "pipelines.deploy", "--file", str(path))

    def work(self, pool: str) -> None:
        """Let a worker take the runs of a pool that are due, once, from a folder of its own."""
        folder = self.repository.parent / "worker"
        folder.mkdir(exist_ok=True)
        self.run(folder, "prefect", "worker", "start", "--pool", pool, "--run-once")

    def order(self, name: str, **parameters: Any) -> FlowRun:
        target = self.client.read_deployment_by_name(name).id
        return self.client.create_flow_run_from_deployment(target, parameters=parameters)

    def message(self, run: FlowRun) -> str:
        state = self.client.read_flow_run(run.id).state
        assert state is not None and state.is_completed(), state
        return str(state.message)


@pytest.fixture
def site(client: SyncPrefectClient, server: str, repository: Path, warm: Warm) -> Site:
    return Site(client, server, repository, warm)


@pytest.mark.slow
def test_a_worker_runs_the_declared_commit_from_a_clone(site: Site) -> None:
    head = commit(site.repository)
    clone = {"url": str(site.repository), "commit": "head"}
    site.deploy({"hand": {"pool": "local", "repository": clone, "remote": "store", "parameters": {"jobs": 2}}})
    later = site.repository / "pipelines" / "flow" / "prefect_flow.py"
    later.write_text("raise SystemExit('not this commit')\n")
    commit(site.repository)
    run = site.order("stillhouse/hand", gpus=0)
    site.work("local")
    site.message(run)
    found = json.loads(site.written.read_text())
    assert found["head"] == head
    assert found["folder"] != str(site.repository)
    assert Path(found["folder"]).name == "stillhouse"
    assert (found["jobs"], found["remote"]) == (2, "store")
    assert sorted(found["tasks"]) == task.names()


@pytest.mark.slow
def test_the_real_flow_runs_from_a_clone_and_leaves_its_outputs_in_the_remote(site: Site, tmp_path: Path) -> None:
    """And a second worker, with another clone, restores instead of running."""
    shutil.copy(ROOT / "pipelines" / "flow" / "prefect_flow.py", site.repository / "pipelines" / "flow")
    store = tmp_path / "store"
    store.mkdir()
    with (site.repository / ".dvc" / "config").open("a") as config:
        config.write(f"['remote \"store\"']\n    url = {store}\n")
    commit(site.repository)
    clone = {"url": str(site.repository), "commit": "head"}
    site.deploy({"hand": {"pool": "local", "repository": clone, "remote": "store"}})
    for state in ("Completed", "Restored"):
        run = site.order("stillhouse/hand", targets=["prepare@translation"])
        site.work("local")
        assert site.message(run) == "up to date: 2 of 2 stages"
        tasks = site.client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])))
        states = {task.name: task.state_name for task in tasks}
        assert set(states) == {"plan", "prepare@translation"} and states["prepare@translation"] == state
        shutil.rmtree(site.repository.parent / "worker")
    assert any(store.rglob("*.dir"))


@pytest.mark.slow
def test_a_worker_looks_and_another_runs_in_this_folder(site: Site) -> None:
    """From the change of a file to the finished run, all by workers."""
    data = site.repository.parent / "data"
    data.mkdir()
    (data / "a.txt").write_text("one")
    params = site.repository / "params.yaml"
    params.write_text(params.read_text().replace("source: sample      ", f"source: {data} ", 1))
    trigger = {"source": "detection", "every": "1h", "pool": "sensors", "settle": "1s"}
    site.deploy({"data": {"pool": "local", "trigger": trigger}})
    first = site.order("sensor/data")
    site.work("sensors")
    assert site.message(first) == "detection: first look, remembered"
    (data / "a.txt").write_text("two")
    second = site.order("sensor/data")
    site.work("sensors")
    assert "started stillhouse/data as run" in site.message(second)
    assert not site.written.exists()
    (event,) = events(site.environment["PREFECT_API_URL"], str(data), 1)
    assert event["payload"]["flow_run"] in site.message(second)
    site.work("local")
    assert json.loads(site.written.read_text())["folder"] == str(site.repository)
