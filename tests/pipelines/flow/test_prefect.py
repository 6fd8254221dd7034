"""What Prefect shows of a flow, and that the stages do not depend on it: against a real server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from prefect_server import PrefectServer
from repository import PATIENCE_S, Make, Repository, wait_for

from pipelines.flow import server as server_module

pytestmark = pytest.mark.servers

FLOW = [sys.executable, "-m", "pipelines.flow", "--bare", "--jobs", "2"]


def start(repository: Repository, url: str) -> subprocess.Popen[str]:
    environment = {**repository.environment, "PREFECT_API_URL": url, "PREFECT_HOME": str(repository.path / "prefect")}
    return repository.warm.Popen(
        FLOW, cwd=repository.path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def in_mid_run(make: Make, folder: Path, empty: Path) -> tuple[PrefectServer, Repository, subprocess.Popen[str]]:
    """A server of its own, and a flow in the second of three stages."""
    home = folder / "server"
    home.mkdir()
    slow = "--sleep 5"
    stages = {"a": {"options": slow}, "b": {"deps": ["a"], "options": slow}, "c": {"deps": ["b"], "options": slow}}
    repository = make(stages)
    prefect = PrefectServer(home, repository.warm, empty)
    flow = start(repository, prefect.url)
    wait_for(lambda: repository.executions("b"))
    return prefect, repository, flow


def test_a_flow_run_with_one_task_run_per_stage(make: Make, prefect: PrefectServer) -> None:
    retried = {"deps": ["a"], "options": "--fail 75 --times 1", "meta": {"retry": {"times": 1, "wait": "0.5s"}}}
    repository = make({"a": [], "b": retried, "c": {"deps": ["a"], "options": "--fail 2"}, "d": ["c"], "e": ["b"]})
    flow = start(repository, prefect.url)
    out, _ = flow.communicate(timeout=PATIENCE_S)
    assert flow.returncode == 1, out
    assert f"{prefect.url.removesuffix('/api')}/runs/flow-run/" in out
    run = prefect.newest()
    assert run["state_type"] == "FAILED" and "failed: c" in run["state"]["message"]
    tasks = prefect.tasks(run["id"])
    states = {name: task["state_type"] for name, task in tasks.items()}
    assert states == {"a": "COMPLETED", "b": "COMPLETED", "c": "FAILED", "d": "CANCELLED", "e": "COMPLETED"}
    assert tasks["b"]["run_count"] == 2 and tasks["c"]["run_count"] == 1
    assert "mistake, exit code 2" in tasks["c"]["state"]["message"]
    log = prefect.log(run["id"])
    assert "b at work" in log and "error: as it was told" in log
    artifacts = prefect.artifacts(run["id"])
    assert {"plan", "dag"} <= set(artifacts)
    assert "output a deleted" in artifacts["plan"]["data"]
    assert artifacts["dag"]["data"].startswith("![the DAG](data:image/svg+xml;base64,")

    repository.write({"a": [], "b": retried, "c": ["a"], "d": ["c"], "e": ["b"]})
    again = start(repository, prefect.url)
    out, _ = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, out
    run = prefect.newest()
    names = {name: task["state_name"] for name, task in prefect.tasks(run["id"]).items()}
    assert names == {"a": "Unchanged", "b": "Unchanged", "c": "Completed", "d": "Completed", "e": "Unchanged"}
    assert run["state_type"] == "COMPLETED"


def test_cancelling_in_prefect_stops_the_stages(make: Make, prefect: PrefectServer) -> None:
    repository = make({"a": [], "b": {"deps": ["a"], "options": "--sleep 120"}})
    flow = start(repository, prefect.url)
    wait_for(lambda: repository.executions("b"))
    run = wait_for(lambda: next((r for r in [prefect.newest()] if r["state_type"] == "RUNNING"), None))
    state = {"type": "CANCELLING", "name": "Cancelling"}
    httpx.post(f"{prefect.url}/flow_runs/{run['id']}/set_state", json={"state": state}, timeout=30).raise_for_status()
    out, _ = flow.communicate(timeout=90)
    assert flow.returncode == 1 and set(repository.lock) == {"a"}, out
    assert not repository.ends("b")


@pytest.mark.slow
def test_a_server_killed_in_mid_run_and_never_back_costs_no_stage(make: Make, tmp_path: Path, empty: Path) -> None:
    prefect, repository, flow = in_mid_run(make, tmp_path, empty)
    prefect.stop(signal.SIGKILL)
    out, _ = flow.communicate(timeout=300)
    assert flow.returncode == 0, out
    assert "warning: Prefect has not all of this run" in out
    assert set(repository.lock) == {"a", "b", "c"} and repository.settled()


@pytest.mark.slow
def test_a_server_that_comes_back_gets_the_whole_story(make: Make, tmp_path: Path, empty: Path) -> None:
    prefect, _, flow = in_mid_run(make, tmp_path, empty)
    time.sleep(3)
    prefect.stop(signal.SIGKILL)
    prefect.start()
    try:
        out, _ = flow.communicate(timeout=300)
        assert flow.returncode == 0 and "warning" not in out, out
        run = prefect.newest()
        assert run["state_type"] == "COMPLETED"
        assert {task["state_type"] for task in prefect.tasks(run["id"]).values()} == {"COMPLETED"}
    finally:
        prefect.stop()


@pytest.mark.slow
def test_without_a_server_a_temporary_one_is_hidden_behind_the_stages(make: Make) -> None:
    """Also when the configured one does not answer."""
    repository = make({"a": {"options": "--sleep 2"}, "b": ["a"]})
    flow = start(repository, "http://127.0.0.1:9/api")
    out, _ = flow.communicate(timeout=200)
    assert flow.returncode == 0, out
    assert "does not answer" in out and "make flow-ui" in out
    began = repository.executions("a")[0]["began"]
    started = (repository.path / ".stillhouse/prefect/memo_store.toml").stat().st_mtime  # the server writes it
    assert began < started, "stages do not wait for it"
    assert (repository.path / ".stillhouse/prefect/prefect.db").exists()


def test_the_configured_server_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_PROFILE", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert server_module.configured() is None
    profiles = 'active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://prefect:4200/api"\n[profiles.other]\n'
    (tmp_path / "profiles.toml").write_text(profiles, encoding="utf-8")
    assert server_module.configured() == "http://prefect:4200/api"
    monkeypatch.setenv("PREFECT_PROFILE", "other")
    assert server_module.configured() is None
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    assert server_module.configured() == "http://elsewhere/api"
    assert not server_module.answers("http://127.0.0.1:9/api", 1.0)
