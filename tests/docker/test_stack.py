"""The stack for real: it comes up, runs the pipeline, serves the model, bears the loss of a service, keeps its data.

PostgreSQL and SeaweedFS come from Debian's and PyPI's packages (docker/standins), the rest from the images built here.
The tests build on one another, in this order. `STILLHOUSE_TEST_IMAGES` may name what to take for train-cpu and serve
instead of building them: `train-cpu=IMAGE,serve=IMAGE`.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pipeline_copy
import pytest
import stack as stacks
from botocore.exceptions import ClientError
from engine import Engine
from stack import Stack
from stack_checks import CHECKS, artifact, eventually, flow_runs, prediction, runs

pytestmark = pytest.mark.timeout(1500)

PORTS = ("MLFLOW_PORT", "PREFECT_PORT", "SERVER_PORT")
TARGET = "package@detection"
SMALL = {"detection.prune": {}, "detection.distill": {}, "detection.precisions": ["fp32"]}
"""One task, one model: what the stack does with a run, not what the run does."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout that the stack's worker clones, with a pipeline of seven small stages."""
    copy = pipeline_copy.make(tmp_path_factory.mktemp("source") / "stillhouse")
    copy.only("detection")
    copy.params(SMALL)
    copy.run("git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--all", "-m", "small")
    for folder in (copy.folder, *copy.folder.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)  # pytest's folders are for one user; a container has another
    return copy.folder


@pytest.fixture(scope="module")
def stack(
    engine: Engine, source: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    if reason := engine.stackless() if stacks.binary() else "no Docker Compose; `make test-containers` installs it":
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("stack")
    engine.run(["sh", str(pipeline_copy.ROOT / "docker" / "standins" / "build.sh")], timeout=900)
    given = dict(pair.split("=", 1) for pair in os.environ.get("STILLHOUSE_TEST_IMAGES", "").split(",") if pair)
    ours = {name: given.get(name) or request.getfixturevalue("image")(name).tag for name in ("train-cpu", "serve")}
    subprocess.run([sys.executable, str(source / "docker" / "passwords.py"), str(folder / ".env")], check=True)
    values = {
        "POSTGRES_IMAGE": "localhost/stillhouse-postgres:standin",
        "OBJECTS_IMAGE": "localhost/stillhouse-objects:standin",
        "TRAIN_CPU_IMAGE": ours["train-cpu"],
        "SERVE_IMAGE": ours["serve"],
        **{name: str(_free()) for name in PORTS},
    }
    with engine.composed(folder) as composed:
        found = Stack(composed, source, folder / ".env", f"stack{secrets.token_hex(4)}", composed.environment | values)
        try:
            with composed.checked(found.containers):
                found.up()
                yield found
        finally:
            found.compose("down", "--volumes", "--timeout", "5", check=False)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def healthy(stack: Stack, service: str) -> None:
    assert stack.engine.healthy(stack.container(service)), stack.logs()


def test_it_comes_up_healthy_and_the_server_waits_for_its_first_package(stack: Stack) -> None:
    for service in ("postgres", "objects", "mlflow", "prefect", "worker", "server"):
        eventually(lambda name=service: healthy(stack, name))
        state = stack.inspect(service)
        story = f"{service}, restarted {state['RestartCount']} times: {state['State']}\n{stack.logs()}"
        assert state["State"]["Running"] and state["RestartCount"] == 0, story
        assert state["HostConfig"]["ReadonlyRootfs"] is True
        assert stack.execute(service, "id", "-u").strip() != "0"
    assert stack.get("SERVER_PORT", "/v2/health/live").status_code == 200
    ready = stack.get("SERVER_PORT", "/ready")
    assert ready.status_code == 400 and "/packages is no package" in ready.text


@pytest.mark.parametrize(
    ("service", "path"),
    [("MLFLOW", "/api/2.0/mlflow/experiments/search?max_results=1"), ("PREFECT", "/api/admin/version")],
)
def test_a_page_of_its_own_and_with_its_password_alone_is_answered(stack: Stack, service: str, path: str) -> None:
    url, auth = stack.url(f"{service}_PORT") + path, ("stillhouse", stack.secrets[f"{service}_PASSWORD"])
    name = f"{service.lower()}:{5000 if service == 'MLFLOW' else 4200}"
    ask = partial(httpx.get, url, trust_env=False, timeout=20)
    assert ask(headers={"Host": name}, auth=auth).status_code == 200
    assert ask(auth=auth).status_code == 200
    assert ask().status_code == ask(auth=("stillhouse", "wrong")).status_code == 401
    assert ask(headers={"Host": "rebound.example"}, auth=auth).status_code == 421
    assert ask(headers={"Origin": "https://evil.example"}, auth=auth).status_code == 403


@pytest.mark.parametrize(("user", "foreign"), [("mlflow", "dvc"), ("dvc", "mlflow")])
def test_a_key_opens_its_own_bucket_alone(stack: Stack, user: str, foreign: str) -> None:
    s3 = stack.s3(user)
    s3.list_objects_v2(Bucket=user)
    for act in (s3.list_objects_v2, s3.delete_bucket, s3.get_bucket_acl):
        with pytest.raises(ClientError, match="Access"):
            act(Bucket=foreign)
    with pytest.raises(ClientError, match="Access"):
        s3.create_bucket(Bucket="another")


def test_databases_open_with_their_own_password_alone(stack: Stack) -> None:
    values = dict(line.split("=") for line in stack.env_file.read_text().splitlines()[1:])
    password = values["PREFECT_DB_PASSWORD"]
    for database_, expected in (("prefect", 0), ("mlflow", 2)):
        url = f"postgresql://prefect:{password}@127.0.0.1/{database_}"
        done = stack.engine.call("exec", stack.container("postgres"), "psql", url, "-c", "SELECT 1", check=False)
        assert done.returncode == expected, done.stderr


def test_the_pipeline_runs_in_the_stack_and_its_model_is_served(stack: Stack) -> None:
    done = stack.submit(TARGET)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:] + stack.logs()
    assert "put where the server looks" in done.stdout
    names = {tag["value"] for run in runs(stack) for tag in run["data"]["tags"] if tag["key"] == "mlflow.runName"}
    assert {"train@detection", TARGET} <= names
    assert artifact(stack)
    assert stack.s3("dvc").list_objects_v2(Bucket="dvc", Prefix="files/md5/")["KeyCount"] > 10
    eventually(lambda: prediction(stack), 60)
    seal = json.loads(stack.execute("worker", "cat", "/packages/detection/passport.json"))["seal"]
    assert prediction(stack)["version"] == seal[:12]


def test_the_next_run_gets_everything_from_the_object_store(stack: Stack) -> None:
    stack.execute("worker", "sh", "-c", "rm -rf /workspace/cache/*")
    began = time.monotonic()
    done = stack.submit(TARGET)
    assert done.returncode == 0, done.stdout[-6000:] + stack.logs()
    assert "Restored" in done.stdout and "Running stage 'train@detection'" not in done.stdout, done.stdout[-6000:]
    print(f"restored in {time.monotonic() - began:.0f} s")


def test_a_run_that_fails_ends_the_command_with_1(stack: Stack) -> None:
    done = stack.submit("package@no-such-task")
    assert done.returncode == 1 and "failed" in done.stdout, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize("service", ["postgres", "objects", "mlflow", "prefect", "worker", "server"])
def test_the_others_work_while_one_is_stopped(stack: Stack, service: str) -> None:
    before = prediction(stack)
    stack.compose("stop", "--timeout", "20", service)
    for check, needed in CHECKS.values():
        if service not in needed:
            eventually(lambda check=check: check(stack), 30)
        elif needed == {service}:
            with pytest.raises(Exception):  # noqa: B017 - whatever it is: it must not answer
                check(stack)
    stack.compose("start", service)
    for check, _ in CHECKS.values():
        eventually(lambda check=check: check(stack))
    assert prediction(stack)["version"] == before["version"]


def test_a_run_whose_worker_was_killed_is_closed_and_the_next_one_goes_on(stack: Stack) -> None:
    started = stack.submit(TARGET, "--force", "--no-wait")
    assert started.returncode == 0, started.stderr
    run = started.stdout.rsplit("(", 1)[1].split(")")[0]

    def under_way() -> None:
        assert flow_runs(stack)[run] == "RUNNING"

    eventually(under_way, 60)
    stack.engine.call("kill", "--signal=KILL", stack.container("worker"))
    stack.compose("start", "worker")

    def closed() -> None:
        assert flow_runs(stack)[run] == "CRASHED"

    eventually(closed, 90)
    assert stack.submit(TARGET).returncode == 0


def test_data_outlives_the_containers(stack: Stack) -> None:
    def facts() -> tuple[Any, ...]:
        keys = {b: stack.s3(b).list_objects_v2(Bucket=b)["KeyCount"] for b in ("mlflow", "dvc")}
        return (
            sorted(run["info"]["run_id"] for run in runs(stack)),
            flow_runs(stack),
            keys,
            prediction(stack)["version"],
        )

    before = facts()
    assert before[0] and before[1]
    stack.compose("down", "--timeout", "20")
    assert not stack.containers("-a")
    stack.up()
    assert eventually(facts) == before
