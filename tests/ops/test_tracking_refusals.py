"""What must not stop a spool, move an alias back, or cost time when the server is away; real MLflow on SQLite."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core import params
from ops import tracking
from ops.tracking import ledger, spool

ROOT = Path(__file__).resolve().parents[2]
NAME = "train@detection"

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("store")]


def record(metrics: dict[str, float], name: str = NAME, **more: Any) -> str:
    """One stage execution; returns its key."""
    head, tasks = params.load()
    with tracking.start(name, head, tasks["detection"]) as run:
        run.metrics(metrics)
        for key, value in more.items():
            run.tag(key, value)
    return run.key


def runs() -> dict[str, Any]:
    client = MlflowClient(tracking.uri())
    experiment = client.get_experiment_by_name("stillhouse")
    return (
        {r.data.tags["stillhouse.key"]: r for r in client.search_runs([experiment.experiment_id])} if experiment else {}
    )


def nobody() -> str:
    """The address of a server that is not there."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{found.getsockname()[1]}"


def test_names_that_mlflow_refuses_are_spelt_so_that_it_takes_them() -> None:
    key = record({"mAP@[.5:.95]": 0.5, "loss": 1.0})
    run = runs()[key]
    assert run.data.metrics["mAP__.5:.95_"] == 0.5
    assert run.info.status == "FINISHED"


def test_one_refused_value_does_not_hold_up_the_rest(capfd: pytest.CaptureFixture[str]) -> None:
    head, tasks = params.load()
    with tracking.start(NAME, head, tasks["detection"]) as run:
        run.params({"lr": 1})
        run.params({"lr": 2})  # MLflow's params cannot be changed
        run.metrics({"a/../b": 1.0, "loss": 0.25})
    found = runs()[run.key]
    assert (found.info.status, found.data.metrics["loss"], found.data.params["lr"]) == ("FINISHED", 0.25, "1")
    assert "a/../b" in capfd.readouterr().err
    kept = Path(".stillhouse/spool/refused.log").read_text()
    assert "a/../b" in kept and run.key in kept
    assert not list(Path(".stillhouse/spool").glob("*.jsonl"))


def test_many_long_tags_and_params_fit_into_requests() -> None:
    head, tasks = params.load()
    with tracking.start(NAME, head, tasks["detection"]) as run:
        run.params({f"p{i}": "x" * 5000 for i in range(150)})
        for i in range(120):
            run.tag(f"t{i}", "y" * 9000)
        for step in range(1200):
            run.metrics({"loss": 1.0}, step)
    found = runs()[run.key]
    assert len([p for p in found.data.params if p.startswith("p1")]) == 61
    assert len(found.data.tags["t119"]) == 8000
    assert not Path(".stillhouse/spool/refused.log").exists()


def test_a_server_that_is_away_costs_a_stage_seconds(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """docs/faults.md 60: with the default limit of 30 s."""
    record({"loss": 1.0})  # the import of MLflow is not what is measured
    monkeypatch.setenv("MLFLOW_TRACKING_URI", nobody().replace("//", "//user:secret@"))
    start = time.perf_counter()
    for _ in range(2):
        record({"loss": 1.0})
    assert time.perf_counter() - start < 1.5 * tracking.WAIT_S  # the limits of both are twice that
    start = time.perf_counter()
    assert len(tracking.replay()) == 2
    assert time.perf_counter() - start < tracking.WAIT_S
    warning = capfd.readouterr().err
    assert "nothing is lost" in warning
    assert "secret" not in warning


def test_the_next_stage_sends_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/faults.md 60: as the warning says, without `replay`."""
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", nobody())
        lost = record({"loss": 0.125})
    head, tasks = params.load()
    with tracking.start("evaluate@detection-base-fp32", head, tasks["detection"]):
        deadline = time.monotonic() + 20
        while lost not in runs() and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(1)
    assert runs()[lost].data.metrics["loss"] == 0.125
    assert runs()[lost].info.status == "FINISHED"


def test_a_spool_that_was_killed_at_its_first_line_is_dropped() -> None:
    spool.FOLDER.mkdir(parents=True)
    (spool.FOLDER / "abc.jsonl").write_text('{"kind": "ru')
    start = time.perf_counter()
    assert tracking.replay() == []
    assert time.perf_counter() - start < 5
    assert not list(spool.FOLDER.glob("abc*"))


def test_a_late_replay_does_not_move_the_alias_back(monkeypatch: pytest.MonkeyPatch) -> None:
    head, tasks = params.load()
    Path("package").mkdir()
    (Path("package") / "model.json").write_text("{}")

    def package() -> str:
        with tracking.start("package@detection", head, tasks["detection"]) as run:
            run.register(Path("package"), "detection", "champion")
        return run.key

    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", nobody())
        old = package()
        (spool.FOLDER / f"{old}.jsonl").rename(spool.FOLDER / "later")  # out of the next stage's sight
    new = package()
    (spool.FOLDER / "later").rename(spool.FOLDER / f"{old}.jsonl")
    assert tracking.replay() == []
    client = MlflowClient(tracking.uri())
    assert len(client.search_model_versions("name = 'detection'")) == 2
    champion = client.get_model_version_by_alias("detection", "champion")
    assert champion.run_id == runs()[new].info.run_id


def test_a_deleted_experiment_is_taken_up_again() -> None:
    record({"loss": 1.0})
    client = MlflowClient(tracking.uri())
    experiment = client.get_experiment_by_name("stillhouse")
    client.delete_experiment(experiment.experiment_id)
    assert record({"loss": 1.0}) in runs()


def entry(md5: str) -> str:
    return json.dumps({"stages": {NAME: {"cmd": "x", "outs": [{"path": "a", "md5": md5}]}}})


def test_a_run_that_made_the_same_again_is_no_candidate_for_another_entry() -> None:
    """`dvc repro --force` leaves the entry as it was; going back to an older one later is a restore of its run."""
    lock = Path("dvc.lock")
    for md5, key in (("1", "first"), ("2", "second"), ("2", "again")):
        ledger.executed(NAME, key, "pipeline-1")
        lock.write_text(entry(md5))
        assert ledger.settle("pipeline-2") == {}
    lock.write_text(entry("1"))
    assert ledger.settle("pipeline-3") == {NAME: "first"}
    assert ledger.run_of(NAME) == "first"


def test_a_look_before_dvc_wrote_its_entry_changes_nothing() -> None:
    lock = Path("dvc.lock")
    ledger.executed(NAME, "first", "pipeline-1")
    lock.write_text(entry("1"))
    ledger.settle("pipeline-1")
    ledger.executed(NAME, "second", "pipeline-1")
    assert ledger.settle("pipeline-1") == {}  # a sibling starts meanwhile
    lock.write_text(entry("2"))
    assert ledger.settle("pipeline-1") == {}
    assert ledger.run_of(NAME) == "second"


def test_a_damaged_dvc_lock_does_not_stop_tracking() -> None:
    """docs/faults.md 53: `dvc.lock` is written in place."""
    Path("dvc.lock").write_text("stages:\n  a: {outs: [")
    key = record({"loss": 1.0})
    assert runs()[key].info.status == "FINISHED"
