"""A checkout that was copied or moved goes on by itself, the original stays to the byte as it was; MLflow on SQLite.

docs/faults.md 162 (a copied checkout).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from pipeline_copy import Copy, make

from core import params
from core.errors import StillhouseError
from ops import tracking
from ops.tracking import relocation

ROOT = Path(__file__).resolve().parents[2]
NAME = "train@detection"
STORE = Path(".stillhouse/mlflow/mlflow.db")

pytestmark = pytest.mark.servers


def record(text: str) -> str:
    """One stage execution with a file and a registered model; returns its key."""
    head, tasks = params.load()
    Path("package").mkdir(exist_ok=True)
    Path("package/model.json").write_text(text)
    with tracking.start(NAME, head, tasks["detection"]) as run:
        run.register(Path("package"), "detection", "champion")
    return run.key


def texts() -> dict[str, str]:
    """What MLflow finds for each run that a stage made, by its key."""
    client = MlflowClient(tracking.uri())
    found = client.search_runs([client.get_experiment_by_name("stillhouse").experiment_id], "tags.stage != ''")
    return {
        run.data.tags["stillhouse.key"]: Path(
            client.download_artifacts(run.info.run_id, "model/model.json")
        ).read_text()
        for run in found
    }


def tree(folder: Path) -> dict[str, str]:
    """Each file, folder and link below `folder`, with the digest of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file() and not path.is_symlink()
        else str(path.lstat().st_mode)
        for path in sorted(folder.rglob("*"))
    }


def settle(folder: Path) -> None:
    """Wait for what mends after a plain `dvc repro`."""
    deadline = time.monotonic() + 60
    while list(folder.glob(".stillhouse/dvc/*.guard")):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def dump(database: Path) -> str:
    with closing(sqlite3.connect(database)) as store:
        return "\n".join(store.iterdump())


@pytest.fixture
def original(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; a checkout with a run, in a folder whose name SQL and URIs take apart."""
    folder = tmp_path / "an original 100%_'a"
    folder.mkdir()
    for name in (".stillhouse", "dvc.yaml", "matrix.yaml", "params.yaml"):
        shutil.move(store / name, folder)
    monkeypatch.chdir(folder)
    return folder


def copied(original: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`cp -a`, and into the copy."""
    subprocess.run(["cp", "-a", original, place], check=True)
    monkeypatch.chdir(place)
    return place


def test_a_copy_goes_on_by_itself(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first = record("one")
    before = tree(original)
    capfd.readouterr()
    copy = copied(original, tmp_path / "copy", monkeypatch)
    second = record("two")
    assert tree(original) == before
    told = [line for line in capfd.readouterr().err.splitlines() if "MLflow's store" in line]
    assert len(told) == 1
    assert str(original) in told[0]
    assert str(copy) in told[0]
    shutil.rmtree(original)
    assert texts() == {first: "one", second: "two"}
    versions = MlflowClient(tracking.uri()).search_model_versions("name = 'detection'")
    assert {version.source.startswith(copy.as_uri() + "/") for version in versions} == {True}
    assert original.name not in dump(copy / STORE)
    assert original.as_uri() not in dump(copy / STORE)


def test_a_moved_checkout_finds_its_runs_before_it_makes_others(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    key = record("one")
    monkeypatch.chdir(original.rename(tmp_path / "moved"))
    tracking.bring_home()
    assert texts() == {key: "one"}
    capfd.readouterr()
    tracking.bring_home()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("place", ["shared/mlflow.db", f"searching/{STORE}"], ids=["the user's", "of who searches"])
def test_a_store_in_sqlite_has_its_artifacts_beside_it(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Path, place: str
) -> None:
    """And not in the checkout that uses it first, whose copy would write there."""
    shared = tmp_path / place
    shared.parent.mkdir(parents=True)
    shutil.copy(database, shared)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shared}")
    key = record("one")
    assert texts() == {key: "one"}
    assert list((shared.parent / "artifacts").rglob("model.json"))
    assert not list((original / ".stillhouse").rglob("model.json"))


@pytest.mark.slow
def test_mlflows_ui_in_a_moved_checkout_shows_the_files_of_its_runs(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record("one")
    moved = original.rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    client = MlflowClient(f"sqlite:///{moved / STORE}")
    (run,) = client.search_runs([client.get_experiment_by_name("stillhouse").experiment_id], "tags.stage != ''")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ui = subprocess.Popen(
        [sys.executable, "-m", "pipelines.ui", "--port", str(port)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    asked = f"http://127.0.0.1:{port}/get-artifact?path=model/model.json&run_uuid={run.info.run_id}"
    answer, deadline = "", time.monotonic() + 120
    try:
        while not answer and time.monotonic() < deadline and ui.poll() is None:
            with suppress(ConnectionError, urllib.error.URLError):
                answer = urllib.request.urlopen(asked, timeout=30).read().decode()
            time.sleep(0.3)
    finally:
        os.killpg(ui.pid, signal.SIGKILL)
        ui.wait()
    assert answer == "one"


@pytest.fixture
def recorded(database: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a checkout's folder with a store whose experiments have these places. Returns: the store's folder."""

    def make(*places: str) -> Path:
        home = tmp_path / "here" / STORE.parent
        home.mkdir(parents=True)
        shutil.copy(database, home)
        with closing(sqlite3.connect(home / STORE.name)) as store, store:
            for number, place in enumerate(places):
                store.execute(
                    "INSERT OR REPLACE INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) "
                    "VALUES (?, ?, ?, 'active')",
                    (number, f"experiment {number}", place),
                )
        return home

    return make


def places(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / STORE.name)) as store:
        found = store.execute("SELECT artifact_location FROM experiments ORDER BY experiment_id")
        return [place for (place,) in found]


def test_only_what_lay_in_the_other_checkout_moves(recorded: Callable[..., Path]) -> None:
    home = recorded(
        "/old/mlruns/0",
        "file:///old/.stillhouse/mlflow/artifacts",
        "file:///old/.stillhouse/mlflow/artifacts-of-mine",
        "file:///old/.stillhouse-of-mine/mlflow/artifacts",
        "file:///data/old/.stillhouse",
        "s3://bucket/old/.stillhouse/mlflow/artifacts",
        "mlflow-artifacts:/old/.stillhouse/mlflow/artifacts",
    )
    here = home.parents[1]
    assert relocation.relocate(home).startswith("MLflow's store was made in /old: 3 places now lead to ")
    assert places(home) == [
        f"{here}/mlruns/0",
        f"file://{here}/.stillhouse/mlflow/artifacts",
        f"file://{here}/.stillhouse/mlflow/artifacts-of-mine",
        "file:///old/.stillhouse-of-mine/mlflow/artifacts",
        "file:///data/old/.stillhouse",
        "s3://bucket/old/.stillhouse/mlflow/artifacts",
        "mlflow-artifacts:/old/.stillhouse/mlflow/artifacts",
    ]
    assert relocation.relocate(home) == ""


def test_a_checkout_above_or_below_the_other_is_another(recorded: Callable[..., Path], tmp_path: Path) -> None:
    below, above = tmp_path / "here" / "below", tmp_path
    home = recorded(*(f"file://{root}/.stillhouse/mlflow/artifacts" for root in (below, above)))
    relocation.relocate(home)
    assert places(home) == [(home / "artifacts").as_uri()] * 2


def test_what_a_search_left_in_its_checkout_is_found_there(recorded: Callable[..., Path]) -> None:
    trial = ".stillhouse/search/detection/checkout/.stillhouse/mlflow/artifacts"
    home = recorded(f"file:///old/{trial}")
    here = home.parents[1]
    (here / trial).mkdir(parents=True)
    relocation.relocate(home)
    assert places(home) == [(here / trial).as_uri()]
    assert relocation.relocate(home) == ""


def test_a_store_of_the_users_is_left_alone(recorded: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one in SQLite; that of another checkout, which a search names, is brought to where it lies."""
    home = recorded("file:///old/.stillhouse/mlflow/artifacts")
    shared = shutil.copy(home / STORE.name, home.parents[2] / "shared.db")
    monkeypatch.chdir(home.parents[2])
    for uri in (f"sqlite:///{shared}", "http://127.0.0.1:9", "postgresql://mlflow@db/.stillhouse/mlflow/mlflow.db"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        tracking.bring_home()
    assert "file:///old/" in dump(Path(shared))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home / STORE.name}")
    tracking.bring_home()
    assert places(home) == [(home / "artifacts").as_uri()]


def test_a_store_that_cannot_be_mended_is_told_and_stays(
    recorded: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = recorded("file:///old/.stillhouse/mlflow/artifacts")
    before = dump(home / STORE.name)
    monkeypatch.setattr(relocation, "WAIT_S", 0.05)
    with closing(sqlite3.connect(home / STORE.name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StillhouseError, match=r"cannot be mended \(database is locked"):
            relocation.relocate(home)
    assert dump(home / STORE.name) == before


@pytest.mark.slow
def test_dvc_in_a_copy_leaves_the_original_as_it_is(tmp_path: Path) -> None:
    """Whatever it records (MLflow's store, the ledger, locks, DVC's cache and state, digests): a stage that runs in the
    copy, and one that DVC restores there, change nothing in the original, and need nothing of it."""
    original = make(tmp_path / "original")
    original.only("translation")
    original.plan()
    original.dvc("repro", "prepare@translation")
    settle(original.folder)
    before = tree(original.folder)
    subprocess.run(["cp", "-a", original.folder, tmp_path / "copy"], check=True)
    copy = Copy(tmp_path / "copy", original.environment)
    said = copy.run(sys.executable, "-m", "pipelines.repro", "validate@translation")
    assert "MLflow's store was made in" in said.stderr
    shutil.rmtree(copy.folder / "data" / "translation" / "prepared")
    copy.dvc("repro", "prepare@translation")
    assert tree(original.folder) == before
    shutil.rmtree(original.folder)
    copy.params({"seed": 8})
    copy.dvc("repro", "validate@translation")
    settle(copy.folder)
    kinds = (".log", ".pyc")  # what was said there; where a traceback says that code is from
    files = [path for path in copy.folder.rglob("*") if path.is_file() and path.suffix not in kinds]
    assert [path for path in files if str(original.folder).encode() in path.read_bytes()] == []
