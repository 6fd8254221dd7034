"""Tracking against the real MLflow: SQLite, a real server process, and a proxy that breaks the connection.

docs/faults.md 60 (server down), 61 (slow), 62 (error in mid-batch), 65 (database locked).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from warm import Warm

from core import params
from ops import tracking

ROOT = Path(__file__).resolve().parents[2]
NAME = "train@detection"

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("store")]


def record(steps: int = 3, name: str = NAME) -> str:
    """One stage execution with some metrics; returns its key."""
    head, tasks = params.load()
    with tracking.start(name, head, tasks["detection"]) as run:
        for step in range(steps):
            run.metrics({"loss": 1.0 / (step + 1)}, step)
        run.note("hello")
        Path("picture.txt").write_text("seen")
        run.artifact(Path("picture.txt"), "looks")
    return run.key


def runs(uri: str | None = None) -> dict[str, Run]:
    client = MlflowClient(uri or tracking.uri())
    experiment = client.get_experiment_by_name("stillhouse")
    return (
        {r.data.tags["stillhouse.key"]: r for r in client.search_runs([experiment.experiment_id])} if experiment else {}
    )


def test_a_stage_is_one_run_below_its_pipeline() -> None:
    key = record()
    found = runs()
    assert set(found) == {key, "pipeline-1"}
    run = found[key]
    assert run.info.run_name == NAME
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == found["pipeline-1"].info.run_id
    assert run.data.params["train.lr"] == "0.0015"
    assert (run.data.params["seed"], run.data.params["learning_threads"]) == ("7", "2")
    assert "validate.max_bad" not in run.data.params  # the stage does not read it
    assert run.data.metrics["system/memory_mb"] > 0
    client = MlflowClient(tracking.uri())
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "loss")] == [
        (0, 1.0),
        (1, 0.5),
        (2, pytest.approx(1 / 3)),
    ]
    assert [f.path for f in client.list_artifacts(run.info.run_id, "looks")] == ["looks/picture.txt"]
    assert not list(Path(".stillhouse/spool").iterdir())


def test_an_execution_and_its_flow_run_name_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking.pipeline_link("pipeline-1") == ""
    monkeypatch.setenv("STILLHOUSE_PIPELINE_NAME", "flow")
    tracking.describe_pipeline("pipeline-1", {"prefect.flow_run_id": "c0ffee"})
    record()
    parent = runs()["pipeline-1"]
    assert parent.data.tags["prefect.flow_run_id"] == "c0ffee"
    assert parent.info.run_name == "flow"
    assert f"#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}" in tracking.pipeline_link(
        "pipeline-1"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@mlflow:5000/")
    link = tracking.pipeline_link("pipeline-1")
    assert link.endswith(f"mlflow:5000/#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id})")
    assert "secret" not in link


def test_a_failure_is_told_with_its_reason() -> None:
    head, tasks = params.load()
    with pytest.raises(ValueError, match="broken"), tracking.start(NAME, head, tasks["detection"]):
        raise ValueError("broken")
    statuses = {run.info.run_name: run.info.status for run in runs().values()}
    assert statuses == {NAME: "FAILED", "pipeline": "FAILED"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Server:
    """A real `mlflow server` on SQLite."""

    def __init__(self, folder: Path, port: int, warm: Warm):
        self.port = port
        self.process = warm.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
                *("--backend-store-uri", f"sqlite:///{folder}/server.db", "--workers", "1"),
                *("--artifacts-destination", str(folder / "artifacts")),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Its job workers (nine processes) take most of the time that it needs to start.
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.3)
        self.stop()
        raise AssertionError("mlflow server did not start")

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def server(warm: Warm, database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(database, folder / "server.db")
    running = Server(folder, free_port(), warm)
    yield running
    running.stop()


class Proxy:
    """Forwards TCP to a port; `broken` drops what arrives, `after` breaks once so many bytes went through."""

    def __init__(self, target: int):
        self.target, self.broken, self.delay, self.after = target, False, 0.0, -1
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            if self.broken:
                client.close()
                continue
            upstream = socket.create_connection(("127.0.0.1", self.target))
            for source, sink in ((client, upstream), (upstream, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(4096):
                time.sleep(self.delay)
                if self.after >= 0:
                    self.after -= len(data)
                    if self.after < 0:  # cut in the middle of an answer, once
                        self.after = -1
                        break
                if self.broken:
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            end.close()


@pytest.fixture
def proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    made = Proxy(server.port)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{made.port}")
    monkeypatch.setenv("STILLHOUSE_PIPELINE_RUN", f"pipeline-{made.port}")
    return made


def direct(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_a_server_takes_everything(proxy: Proxy, server: Server) -> None:
    key = record()
    assert runs(direct(server))[key].data.metrics["loss"] == pytest.approx(1 / 3)


def test_a_server_that_is_down_costs_a_warning_and_nothing_is_lost(
    proxy: Proxy, server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """docs/faults.md 60."""
    proxy.broken = True
    monkeypatch.setenv("STILLHOUSE_TRACKING_WAIT", "1")
    key = record()
    assert "nothing is lost" in capfd.readouterr().err
    assert key not in runs(direct(server))
    proxy.broken = False
    monkeypatch.setenv("STILLHOUSE_TRACKING_WAIT", "30")
    assert tracking.replay() == []
    run = runs(direct(server))[key]
    assert run.info.status == "FINISHED"
    history = MlflowClient(direct(server)).get_metric_history(run.info.run_id, "loss")
    assert [m.step for m in history] == [0, 1, 2]


def test_a_slow_server_does_not_slow_the_stage(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/faults.md 61."""
    proxy.delay = 0.5
    monkeypatch.setenv("STILLHOUSE_TRACKING_WAIT", "0")
    head, tasks = params.load()
    with tracking.start(NAME, head, tasks["detection"]) as run:
        start = time.perf_counter()
        for step in range(200):
            run.metrics({"loss": 1.0}, step)
        took = time.perf_counter() - start
    assert took < 200 * proxy.delay / 4  # nobody waited for answers


def test_an_answer_lost_in_mid_batch_makes_no_duplicates(
    proxy: Proxy, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/faults.md 62."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")  # it waits so long for what was cut off
    proxy.after = 2500
    key = record(steps=50)
    assert proxy.after == -1, "the connection was never cut"
    found = [run for run in runs(direct(server)).values() if run.data.tags["stillhouse.key"] == key]
    assert len(found) == 1
    history = MlflowClient(direct(server)).get_metric_history(found[0].info.run_id, "loss")
    assert sorted(m.step for m in history) == list(range(50))


def test_a_locked_database_is_waited_for() -> None:
    """docs/faults.md 65."""
    record()
    locked = sqlite3.connect(".stillhouse/mlflow/mlflow.db", check_same_thread=False)
    locked.execute("BEGIN EXCLUSIVE")
    threading.Timer(3.0, locked.rollback).start()
    key = record()
    assert runs()[key].info.status == "FINISHED"


def test_a_killed_stage_is_marked_and_keeps_its_figures(store: Path) -> None:
    program = (
        "import os, signal; from core import params; from ops import tracking\n"
        "head, tasks = params.load()\n"
        f"with tracking.start({NAME!r}, head, tasks['detection']) as run:\n"
        "    run.metrics({'loss': 0.25}, 7); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert tracking.replay() == []
    (run,) = [r for r in runs().values() if r.info.run_name == NAME]
    assert run.info.status == "KILLED"
    assert run.data.metrics["loss"] == 0.25


def test_a_model_is_registered_and_the_alias_moves() -> None:
    head, tasks = params.load()
    Path("package").mkdir()
    with tracking.sending():
        for text in ("one", "two"):
            Path("package/model.json").write_text(text)
            with tracking.start("package@detection", head, tasks["detection"]) as run:
                run.register(Path("package"), "detection", "champion")
    client = MlflowClient(tracking.uri())
    assert len(client.search_model_versions("name = 'detection'")) == 2
    champion = client.get_model_version_by_alias("detection", "champion")
    assert champion.version in (2, "2")
    local = client.download_artifacts(champion.run_id, "model/model.json")
    assert Path(local).read_text() == "two"


def test_a_restored_stage_links_to_its_run(store: Path) -> None:
    """DVC writes dvc.lock after a stage; going back to the first entry without running it is a restore."""
    first, second = ("stages:\n  train@detection:\n    cmd: x\n    outs: [{path: a, md5: " + d + "}]\n" for d in "12")
    with tracking.sending():
        key = record()
        (store / "dvc.lock").write_text(first)
        tracking.ledger.settle()
        record()
        (store / "dvc.lock").write_text(second)
        tracking.ledger.settle()
        (store / "dvc.lock").write_text(first)
        assert tracking.link_restored("pipeline-1") == {NAME: key}
    found = runs()
    assert found["pipeline-1"].data.tags["restored.train/detection"] == found[key].info.run_id


def test_what_has_ended_comes_before_what_began_later_and_goes_on(store: Path) -> None:
    """A courier that looked for the living first would number their models before."""
    ended, living = (tracking.spool.Spool.create(name, None, tracking.now(), shared=True) for name in "ab")
    ended.release()
    found = []
    for spool, free in tracking.spool.waiting():
        found.append((spool.key, free))
        spool.release() if free else None
    assert found == [(ended.key, True), (living.key, False)]
    living.release()


def test_runs_that_are_sent_late_are_sent_in_the_order_in_which_they_began(store: Path) -> None:
    """Time stamps of files may be equal, and another order would number the versions of a model backwards."""
    begun = []
    for i in range(6):
        spool = tracking.spool.Spool.create(f"stage{i}", None, tracking.now())
        spool.release()
        begun.append(spool.key)
    for key in begun:
        os.utime(Path(f".stillhouse/spool/{key}.jsonl"), (1, 1))
    found = []
    for spool in tracking.spool.abandoned():
        with spool:
            found.append(spool.key)
    assert found == begun
