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
