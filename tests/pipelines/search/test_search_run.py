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
import pytest
from optuna.trial import TrialState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def smaller_one_begun(log: Path) -> bool:
    text = log.read_text() if log.is_file() else ""
    return "stages.prune" in text or "stages.distill" in text


def test_a_killed_search_goes_on(tmp_path: Path) -> None:
    copy = pipeline_copy.make(tmp_path / "copy")
    copy.only("classification")
    copy.params({"classification.precisions": ["fp32", "int8"]})
    copy.plan()
    command = [sys.executable, "-m", "pipelines.search", "classification", "--trials", "2"]
    folder = copy.folder / ".stillhouse" / "search" / "classification"

    def studied() -> list[optuna.trial.FrozenTrial]:
        storage = f"sqlite:///{folder / 'trials.db'}"
        return optuna.load_study(study_name="classification", storage=storage).trials

    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=copy.folder, env=copy.environment, stdout=log, stderr=log, start_new_session=True
        )
        while not smaller_one_begun(folder / "0.log"):
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.5)
        process.kill()
        process.wait()
    (first,) = studied()
    assert first.state is TrialState.RUNNING
    done = copy.run(*command, timeout=1000)
    before, again, second = studied()
    assert before.state is TrialState.FAIL and again.params == first.params
    assert again.state is second.state is TrialState.COMPLETE, done.stdout + done.stderr
    text = (folder / f"{again.number}.log").read_text()
    assert "Running stage 'train@classification'" not in text, "it was made before the kill"
    assert "loses" in done.stdout and json.loads((folder / "front.json").read_text())
    # Every stage of every trial is a run in the MLflow store of the checkout that searches.
    database = sqlite3.connect(copy.folder / ".stillhouse" / "mlflow" / "mlflow.db")
    names = [name for (name,) in database.execute("SELECT name FROM runs")]
    assert any(name.startswith("evaluate@classification-") for name in names)
    assert f"search_classification_{again.number}" in names
    # This checkout is as it was.
    assert not copy.run("git", "status", "--porcelain", "models", "data").stdout
