"""A folder and a store of its own for each test of sources or tracking."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import once
import pytest
from sources import Server
from warm import MLFLOW, Warm

from ops.tracking import courier

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database: making its tables takes seconds, copying them does not."""

    def make(path: Path) -> None:
        from mlflow import MlflowClient

        MlflowClient(f"sqlite:///{path}").search_experiments()

    return once.in_run(tmp_path_factory, "mlflow.db", make)


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    with Warm(*MLFLOW) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Path, warm: Warm) -> Path:
    """The working directory: what `dvc repro` reads of the repository, and an empty MLflow store.

    A courier is a process as ever, which need not import MLflow first: that takes two seconds of a core each time.
    """
    warm.starts(courier, monkeypatch)
    (tmp_path / ".stillhouse" / "mlflow").mkdir(parents=True)
    shutil.copy(database, tmp_path / ".stillhouse" / "mlflow")
    for name in ("dvc.yaml", "matrix.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("STILLHOUSE_PIPELINE_RUN", "pipeline-1")
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty. A download that is tried again does not wait."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ops.ingest.download.time.sleep", lambda seconds: None)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()
