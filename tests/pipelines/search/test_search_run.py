"""A real search on the tiny preset: killed in a trial, it goes on with that one and loses none."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pipeline_copy
import psutil
import pytest
from optuna.trial import TrialState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def smaller_one_begun(place: Path) -> bool:
    text = "".join(log.read_text() for log in place.glob("*/0.log"))
    return "stages.prune" in text or "stages.distill" in text


def test_a_killed_search_goes_on(tmp_path: Path) -> None:
    copy = pipeline_copy.make(tmp_path / "copy")
    copy.only("classification")
    copy.params({"classification.precisions": ["fp32", "int8"]})
    copy.plan()
    command = [sys.executable, "-m", "pipelines.search", "classification", "--trials", "2"]
    place = copy.folder / ".stillhouse" / "search" / "classification"

    def studied() -> list[optuna.trial.FrozenTrial]:
        return optuna.load_study(study_name=None, storage=f"sqlite:///{place / 'trials.db'}").trials

    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=copy.folder, env=copy.environment, stdout=log, stderr=log, start_new_session=True
        )
        while not smaller_one_begun(place):
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.5)
        descendants = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
    assert len(descendants) >= 3
    _, alive = psutil.wait_procs(descendants, timeout=30)
    assert not [each for each in alive if "mlflow" not in " ".join(each.cmdline())], "DVC and its stage end, too"
    (first,) = studied()
    assert first.state is TrialState.RUNNING
    done = copy.run(*command, timeout=1000)
    before, again, second = studied()
    assert before.state is TrialState.FAIL and again.params == first.params
    assert again.state is second.state is TrialState.COMPLETE, done.stdout + done.stderr
    (folder,) = (path.parent for path in place.glob("*/0.log"))
    text = (folder / f"{again.number}.log").read_text()
    assert "Running stage 'train@classification'" not in text, "it was made before the kill"
    assert "loses" in done.stdout and json.loads((folder / "front.json").read_text())
    # Every stage of every trial is a run in the MLflow store of the checkout that searches.
    database = sqlite3.connect(copy.folder / ".stillhouse" / "mlflow" / "mlflow.db")
    names = [name for (name,) in database.execute("SELECT name FROM runs")]
    assert any(name.startswith("evaluate@classification-") for name in names)
    assert f"search_classification_{again.number}" in names
    # This checkout is as it was.
    assert not (copy.folder / "models").exists() and not (copy.folder / "evaluations").exists()
    changed = copy.run("git", "status", "--porcelain").stdout.split()[1::2]
    assert set(changed) == {"params.yaml", "matrix.yaml"}, "by this test alone"


def test_trials_at_once_are_timed_alone_and_a_killed_search_loses_none(tmp_path: Path) -> None:
    """Killed while two run: both go on, each in its checkout; no stage of any ran while another was timed."""
    copy = pipeline_copy.make(tmp_path / "copy")
    copy.only("classification")
    copy.params({"classification.precisions": ["fp32", "int8"]})
    copy.plan()
    command = [sys.executable, "-m", "pipelines.search", "classification", "--parallel", "2"]
    place = copy.folder / ".stillhouse" / "search" / "classification"

    def studied() -> list[optuna.trial.FrozenTrial]:
        return optuna.load_study(study_name=None, storage=f"sqlite:///{place / 'trials.db'}").trials

    def begun(number: int) -> bool:
        text = "".join(log.read_text() for log in place.glob(f"*/{number}.log"))
        return "stages.prune" in text or "stages.distill" in text

    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--trials", "2"], cwd=copy.folder, env=copy.environment, stdout=log, stderr=log
        )
        while not (begun(0) and begun(1)):
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.2)
        descendants = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(descendants, timeout=120)  # a stage that imported still ends by itself
    assert not [found for each in alive if "mlflow" not in (found := " ".join(each.cmdline()))], "DVC and stages end"
    killed = studied()
    assert [trial.state for trial in killed] == [TrialState.RUNNING] * 2
    assert sorted(trial.user_attrs["checkout"] for trial in killed) == [0, 1]
    done = copy.run(*command, "--trials", "3", timeout=1000)
    trials = studied()
    assert [trial.state for trial in trials[:2]] == [TrialState.FAIL] * 2, done.stdout + done.stderr
    assert [trial.params for trial in trials[2:4]] == [trial.params for trial in killed]
    assert [trial.user_attrs["checkout"] for trial in trials[2:4]] == [each.user_attrs["checkout"] for each in killed]
    assert [trial.state for trial in trials[2:]] == [TrialState.COMPLETE] * 3, done.stdout + done.stderr
    database = sqlite3.connect(copy.folder / ".stillhouse" / "mlflow" / "mlflow.db")
    query = "SELECT name, start_time, end_time FROM runs WHERE name LIKE '%@classification%' AND end_time NOT NULL"
    stages = database.execute(query).fetchall()
    clocks = [each for each in stages if each[0].startswith("latency@")]
    assert len(clocks) >= 2 and any(name.startswith("evaluate@") for name, _, _ in stages)
    beside = [
        (clock, other)
        for clock in clocks
        for other in stages
        if other != clock and other[1] < clock[2] and clock[1] < other[2]
    ]
    assert not beside, beside
    trained = [name for name, _, _ in stages if name == "train@classification"]
    assert len(trained) == 1, "the base, which all trials share, once"
