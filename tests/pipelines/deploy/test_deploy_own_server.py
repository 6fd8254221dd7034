"""`make flow-ui`, `make deploy` and a worker beside it: they know the password by themselves, and nobody else does."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pipeline_copy
import psutil
import pytest
from stand_in import FLOW, commit
from warm import Warm

from pipelines.flow.server import answers

pytestmark = pytest.mark.servers


@dataclass
class Own:
    """A checkout whose Prefect server runs."""

    folder: Path
    port: int
    process: subprocess.Popen[str]
    environment: dict[str, str]
    warm: Warm

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, **variables}
        words = [sys.executable, "-m", *command]
        return self.warm.run(words, cwd=self.folder, env=environment, timeout=150)


@pytest.fixture(scope="module")
def own(warm: Warm, empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    folder = tmp_path_factory.mktemp("own") / "repository"
    pipeline_copy.make(folder, preset=None)
    (folder / "pipelines" / "flow" / "prefect_flow.py").write_text(FLOW)
    commit(folder)
    (folder / ".stillhouse" / "prefect").mkdir(parents=True)
    shutil.copy(empty, folder / ".stillhouse" / "prefect" / "prefect.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "STILLHOUSE_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**kept, "PATH": path, "HOME": str(folder.parent), "STAND_IN": str(folder.parent / "written.json")}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.flow.server", "--port", str(port)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    found = Own(folder, port, process, environment, warm)
    try:
        deadline = time.monotonic() + 150
        while not answers(found.api, 2.0):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.3)
        yield found
    finally:
        process.terminate()
        process.wait(30)


def declared(folder: Path) -> str:
    """A file with one deployment."""
    path = folder / "file.yaml"
    deployment = {"pool": "local", "repository": "here"}
    path.write_text(json.dumps({"pools": {"local": {"type": "process"}}, "deployments": {"hand": deployment}}))
    return str(path)


@pytest.fixture(scope="module")
def home(own: Own, tmp_path_factory: pytest.TempPathFactory) -> str:
    """PREFECT_HOME of the commands that `make deploy` prints."""
    deployed = own.run("pipelines.deploy", "--file", declared(tmp_path_factory.mktemp("declared")))
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    (home,) = set(re.findall(r"PREFECT_HOME=(\S+) prefect", deployed.stdout))
    return str(home)


def test_deploy_and_a_worker_go_on_without_a_word_from_the_user(own: Own, home: str, tmp_path: Path) -> None:
    again = own.run(
        "pipelines.deploy", "--file", declared(tmp_path), PREFECT_API_URL=f"http://localhost:{own.port}/api"
    )
    assert again.returncode == 0 and "unchanged" in again.stdout, again.stdout + again.stderr

    ordered = own.run("prefect", "deployment", "run", "stillhouse/hand", "-p", "jobs=2", PREFECT_HOME=home)
    assert ordered.returncode == 0, ordered.stdout + ordered.stderr
    worked = own.run("prefect", "worker", "start", "--pool", "local", "--run-once", PREFECT_HOME=home)
    assert worked.returncode == 0, worked.stdout + worked.stderr
    assert json.loads(Path(own.environment["STAND_IN"]).read_text())["jobs"] == 2


def test_a_command_among_job_variables_never_runs(own: Own, home: str, tmp_path: Path) -> None:
    """docs/faults.md 106: refused for a deployment's run, without effect for a run that was made past it."""
    evil = f"touch {tmp_path / 'PWNED'}"
    ordered = ("prefect", "deployment", "run", "stillhouse/hand", "--job-variable", f"command={evil}")
    refused = own.run(*ordered, PREFECT_HOME=home)
    assert refused.returncode != 0 and "'command' was unexpected" in refused.stdout + refused.stderr

    user, _, password = (own.folder / ".stillhouse/prefect/password").read_text().strip().partition(":")
    with httpx.Client(base_url=own.api, auth=(user, password), trust_env=False) as api:
        known = api.get("/deployments/name/stillhouse/hand").raise_for_status().json()
        run = {
            "flow_id": known["flow_id"],
            "deployment_id": known["id"],
            "work_pool_name": "local",
            "state": {"type": "SCHEDULED"},
            "job_variables": {"command": evil, "working_dir": str(tmp_path)},
        }
        made = api.post("/flow_runs/", json=run).raise_for_status().json()["id"]  # Prefect 3.8.8 checks it not here
    worked = own.run("prefect", "worker", "start", "--pool", "local", "--run-once", PREFECT_HOME=home)
    assert worked.returncode == 0, worked.stdout + worked.stderr
    assert made in worked.stdout + worked.stderr, "the worker has not seen the run"
    assert not (tmp_path / "PWNED").exists()


def test_the_password_is_for_this_user_alone(own: Own) -> None:
    for path in (own.folder / ".stillhouse/prefect/password", own.folder / ".stillhouse/prefect/profiles.toml"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((own.folder / ".stillhouse/prefect").stat().st_mode) == 0o700
    assert httpx.post(f"{own.api}/flow_runs/filter", json={}, trust_env=False).status_code == 401
    listed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=own.folder, capture_output=True, text=True, check=True
    )
    assert "stillhouse/" not in listed.stdout


def test_sigterm_ends_the_server_too(own: Own, tmp_path: Path) -> None:
    """Last: the server is gone then."""
    children = psutil.Process(own.process.pid).children(recursive=True)
    assert children
    own.process.send_signal(signal.SIGTERM)
    out, _ = own.process.communicate(timeout=30)
    assert own.process.returncode == 128 + signal.SIGTERM and "error" not in out
    psutil.wait_procs(children, timeout=10)
    assert not [child for child in children if child.is_running()]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", own.port)) != 0
    assert not (own.folder / ".stillhouse/prefect/profiles.toml").exists()
    deployed = own.run("pipelines.deploy", "--file", declared(tmp_path))
    assert deployed.returncode != 0 and "make flow-ui" in deployed.stderr
