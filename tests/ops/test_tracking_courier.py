"""Who sends what a stage logs: a process beside it, or one for the pipeline; real processes, real MLflow (SQLite)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from core import params
from ops import tracking
from ops.tracking import courier, spool

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("prepare@detection", "validate@detection", "train@detection")
SPOOLS = Path(".stillhouse/spool")
STAGE = """
import os, signal, sys
from core import params
from ops import tracking
head, tasks = params.load()
with tracking.start(sys.argv[1], head, tasks["detection"]) as run:
    run.metrics({"loss": 0.5}, 3)
    if sys.argv[2:]:
        os.kill(os.getpid(), signal.SIGKILL)
"""

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("store")]


def stage(name: str, *arguments: str) -> int:
    """One stage in a process of its own; returns its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", STAGE, name, *arguments], env=environment, check=False)
    return done.returncode


def status_of() -> dict[str, str]:
    """Run name -> status, as MLflow has them."""
    client = MlflowClient(tracking.uri())
    experiment = client.get_experiment_by_name("stillhouse")
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    assert len({run.data.tags["stillhouse.key"] for run in found}) == len(found), "a run was made twice"
    return {run.info.run_name: run.info.status for run in found}


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


def test_one_process_sends_all_stages_of_a_pipeline() -> None:
    assert stage("compare@detection", "killed") == -signal.SIGKILL  # left by an earlier pipeline
    with tracking.sending():
        for name in STAGES:
            assert stage(name) == 0
    assert status_of() == {**dict.fromkeys((*STAGES, "pipeline"), "FINISHED"), "compare@detection": "KILLED"} | {
        "pipeline": "FAILED"  # the killed stage was one of it
    }
    assert not list(SPOOLS.iterdir())
    assert courier.ENVIRONMENT not in os.environ


def test_a_stage_of_a_pipeline_does_not_wait_for_mlflow() -> None:
    """It ends while the process that sends is at a stand."""
    with tracking.sending():
        pid = int(os.environ[courier.ENVIRONMENT])
        os.kill(pid, signal.SIGSTOP)
        try:
            assert stage(STAGES[0]) == 0
            assert len(list(SPOOLS.glob("*.jsonl"))) >= 1  # nobody has sent it
        finally:
            os.kill(pid, signal.SIGCONT)
    assert status_of()[STAGES[0]] == "FINISHED"


def test_a_stage_is_seen_while_it_runs() -> None:
    """A long training shows its curves in MLflow long before it ends."""
    head, tasks = params.load()
    with tracking.sending(), tracking.start("train@detection", head, tasks["detection"]) as run:
        run.metrics({"loss": 0.5})
        wait_for(lambda: status_of().get("train@detection") == "RUNNING")


def test_a_run_that_was_sent_before_its_stage_ended_leaves_nothing() -> None:
    with tracking.sending():
        file = spool.Spool.create(
            "train@detection", {"key": "pipeline-1", "name": "pipeline"}, tracking.now(), shared=True
        )
        file.write("end", status="FINISHED", time=tracking.now())
        wait_for(lambda: status_of().get("train@detection") == "FINISHED")
        file.release()
    assert not list(SPOOLS.iterdir())


def test_a_run_that_cannot_be_sent_does_not_hold_up_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    broken = spool.Spool.create("augment@detection", None, tracking.now())
    broken.write("dataset")  # without its values: no server will ever get it
    broken.write("end", status="FINISHED", time=tracking.now())
    os.utime(broken.path, (0, 0))  # what is older is sent first
    broken.release()
    with tracking.sending():
        assert stage("prepare@detection") == 0
    assert status_of()["prepare@detection"] == "FINISHED"
    assert [path.stem for path in SPOOLS.glob("*.jsonl")] == [broken.key]
    assert "augment@detection" in capfd.readouterr().err


def test_a_courier_that_was_killed_costs_nothing() -> None:
    head, tasks = params.load()
    with tracking.sending():
        with tracking.start("train@detection", head, tasks["detection"]):
            pid = int(os.environ[courier.ENVIRONMENT])
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        assert status_of() == {"train@detection": "FINISHED", "pipeline": "FINISHED"}  # the stage sent it by itself
        assert stage("prepare@detection") == 0
    assert status_of()["prepare@detection"] == "FINISHED"
    assert not list(SPOOLS.iterdir())


def test_a_courier_dies_with_its_pipeline() -> None:
    program = (
        "import os, signal; from ops import tracking\n"
        "with tracking.sending():\n"
        "    print(os.environ['STILLHOUSE_COURIER'], flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    wait_for(lambda: not psutil.pid_exists(int(done.stdout)))


def test_a_server_that_is_down_is_told_once(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """docs/faults.md 60."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with tracking.sending():
        for name in STAGES:
            assert stage(name) == 0
        wait_for(lambda: "does not take everything" in capfd.readouterr().err)
    assert "prepare@detection" in capfd.readouterr().err
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert tracking.replay() == []
    assert status_of() == dict.fromkeys((*STAGES, "pipeline"), "FINISHED")


@pytest.mark.parametrize("pipeline", [tracking.sending, nullcontext], ids=["pipeline", "stage by hand"])
def test_nothing_is_sent_while_time_is_measured(pipeline: Callable[[], AbstractContextManager[None]]) -> None:
    name = "evaluate@detection-base-fp32"
    head, tasks = params.load()
    with pipeline(), tracking.start(name, head, tasks["detection"]) as run:
        wait_for(lambda: name in status_of())
        with tracking.silence():
            run.tag("within", "silence")
            time.sleep(3 * courier.POLL_S)
            assert not tagged("within")
        wait_for(lambda: tagged("within"))


def tagged(key: str) -> bool:
    """Whether MLflow has a run with this tag."""
    client = MlflowClient(tracking.uri())
    (experiment,) = client.search_experiments(filter_string="name = 'stillhouse'")
    return any(key in run.data.tags for run in client.search_runs([experiment.experiment_id]))


def test_a_measurement_does_not_wait_long_for_a_hanging_server() -> None:
    with tracking.silence():
        begun = time.perf_counter()
        with tracking.silence(wait=0.2):
            assert time.perf_counter() - begun < 2
