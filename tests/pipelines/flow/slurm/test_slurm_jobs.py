"""What may happen to jobs: on the stand-in, and on a real SLURM of one node where its daemons are installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import Any

import pytest
from clusters import Cluster
from repository import Make, Repository, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FLOW = ("--in", "slurm")


def cause(repository: Repository, name: str) -> list[str | None]:
    """Of each attempt of a stage, of all flows; None for a success."""
    logs = sorted((repository.path / ".stillhouse" / "flow").glob("*/attempts.jsonl"), key=os.path.getmtime)
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    return [line["cause"] for line in lines if line["stage"] == name]


def log(repository: Repository, name: str) -> str:
    return "".join(path.read_text() for path in (repository.path / ".stillhouse" / "flow").glob(f"*/{name}*.log"))


def job_of(cluster: Cluster, name: str) -> str:
    """Of the stage, when there is one."""
    return wait_for(lambda: next((job for job, its in cluster.jobs().items() if its.endswith(f":{name}")), ""), 120)


def begun(repository: Repository, name: str, times: int = 1) -> None:
    wait_for(lambda: len(repository.executions(name)) == times, 180)


def finished(flow: subprocess.Popen[str], timeout: float = 300) -> str:
    output, _ = flow.communicate(timeout=timeout)
    return output


def forty() -> dict[str, Any]:
    """Five levels of eight, each of which needs two of the level above."""
    rows: dict[str, Any] = {}
    for level in range(5):
        for place in range(8):
            above = [f"s{level - 1}{place}", f"s{level - 1}{(place + 1) % 8}"] if level else []
            rows[f"s{level}{place}"] = {"deps": above, "options": "--sleep 0.2"}
    return rows


@pytest.mark.timeout(1800)
def test_forty_stages_in_order_and_the_same_as_on_one_machine(cluster: Cluster, make: Make) -> None:
    repository, here = make(forty()), make(forty())
    done = repository.flow(*FLOW, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, row in forty().items():
        (start,) = repository.executions(name)
        for parent in row["deps"]:
            (end,) = repository.ends(parent)
            assert end["ended"] <= start["began"], (name, parent)
    assert here.dvc("repro", timeout=600).returncode == 0
    assert repository.outputs() == here.outputs() and repository.lock == here.lock
    assert repository.settled() and not cluster.jobs()


def test_a_killed_flow_is_resumed_and_its_jobs_are_cancelled_first(cluster: Cluster, make: Make) -> None:
    rows = {"a": [], "b": {"deps": ["a"], "options": "--sleep 600"}, "c": ["b"]}
    repository = make(rows)
    flow = repository.start(*FLOW)
    begun(repository, "b")
    job = job_of(cluster, "b")
    for pid in [*family(flow.pid), flow.pid]:
        os.kill(pid, signal.SIGKILL)
    flow.wait(60)
    assert job in cluster.jobs()  # it outlives whoever wanted it
    repository.write({**rows, "b": {"deps": ["a"], "options": "--sleep 0"}})
    done = repository.flow(*FLOW, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cancelled: jobs that an earlier flow left (b)" in done.stdout
    assert [len(repository.ends(name)) for name in "abc"] == [1, 1, 1]
    assert repository.settled() and not cluster.jobs()


def family(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def test_ctrl_c_ends_jobs_that_run_and_jobs_that_wait(cluster: Cluster, make: Make) -> None:
    wide = {"needs": {"cores": "all"}}
    repository = make({name: {"options": "--sleep 600", "meta": wide} for name in "ab"})
    flow = repository.start(*FLOW)
    wait_for(lambda: len(cluster.jobs()) == 2 and (repository.executions("a") or repository.executions("b")), 180)
    flow.send_signal(signal.SIGINT)
    output = finished(flow)
    assert flow.returncode == 130, output
    wait_for(lambda: not cluster.jobs(), 60)
    assert {*cause(repository, "a"), *cause(repository, "b")} == {"stopped"}


def test_how_jobs_end_is_told_apart(cluster: Cluster, make: Make) -> None:
    """One that fails, one that is cancelled by others, one without enough memory, one over its time, one refused."""
    repository = make(
        {
            "fails": {"options": "--fail 3", "meta": {"retry": {"times": 2, "wait": "0s"}}},
            "cancelled": {"options": "--sleep 600"},
            "fat": {"options": "--fat 400", "meta": {"needs": {"memory": "120MB"}}},
            "slow": {"options": "--sleep 600", "meta": {"timeout": "4s"}},
            "refused": {"meta": {"needs": {"memory": "900000GB"}}},
        }
    )
    flow = repository.start(*FLOW)
    begun(repository, "cancelled")
    cluster.call("scancel", job_of(cluster, "cancelled"))
    output = finished(flow)
    assert flow.returncode == 1, output
    assert cause(repository, "fails") == ["mistake"]  # no retry cures it
    assert cause(repository, "cancelled") == ["killed"] and "cancelled by others" in log(repository, "cancelled")
    assert cause(repository, "fat") == ["out of memory"], log(repository, "fat")
    assert cause(repository, "slow") == ["timeout"]
    if "slurm.conf" in str(cluster.variables):  # the stand-in has no limits to refuse by
        assert cause(repository, "refused") == ["mistake"] and "SLURM refuses" in log(repository, "refused")
    assert not cluster.jobs()


def test_a_killed_job_is_tried_again_where_the_stage_says_so(cluster: Cluster, make: Make) -> None:
    retry = {"retry": {"times": 1, "wait": "0s"}}
    repository = make({"a": {"options": "--until go", "meta": retry}})
    flow = repository.start(*FLOW)
    begun(repository, "a")
    cluster.call("scancel", job_of(cluster, "a"))
    begun(repository, "a", times=2)
    (repository.path / "go").touch()
    output = finished(flow)
    assert flow.returncode == 0, output
    assert cause(repository, "a") == ["killed", None] and len(repository.ends("a")) == 1
    assert repository.settled()


def test_a_preempted_job_is_no_fault_of_the_stage(cluster: Cluster, make: Make) -> None:
    """It has no `retry`, and is made all the same."""
    repository = make({"a": {"options": "--until go", "meta": {"needs": {"cores": "all"}}}})
    flow = repository.start(*FLOW)
    begun(repository, "a")
    job = job_of(cluster, "a")
    if "FAKE_SLURM" in cluster.variables:
        (cluster.home / f"preempt-{job}").touch()
    else:
        cluster.call("sbatch", "--partition=urgent", "--exclusive", "--mem=0", "--wrap=sleep 2")
    begun(repository, "a", times=2)
    (repository.path / "go").touch()
    output = finished(flow)
    assert flow.returncode == 0, output + log(repository, "a")
    assert cause(repository, "a") == ["host lost", None] and len(repository.ends("a")) == 1
    assert repository.settled()


def test_a_limit_of_the_cluster_is_told(cluster: Cluster, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a partition. A stage with `retry` would go on where it was saved."""
    monkeypatch.setenv("SBATCH_TIMELIMIT", "1")
    repository = make({"a": {"options": "--sleep 600"}})
    done = repository.flow(*FLOW, timeout=300)
    assert done.returncode == 1
    assert cause(repository, "a") == ["killed"] and "SLURM says TIMEOUT: the time limit" in log(repository, "a")


def test_a_controller_that_is_away_costs_nothing_but_time(fake: Cluster, make: Make) -> None:
    repository = make({"a": {"options": "--until go"}, "b": ["a"]})
    flow = repository.start(*FLOW)
    begun(repository, "a")
    (fake.home / "away").touch()
    (repository.path / "go").touch()
    wait_for(lambda: repository.ends("a"), 120)
    time.sleep(4)
    (fake.home / "away").unlink()
    output = finished(flow)
    assert flow.returncode == 0, output
    assert [len(repository.executions(name)) for name in "ab"] == [1, 1]
