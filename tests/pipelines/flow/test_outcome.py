from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.flow.outcome import CURABLE, Cause, Result, judge, last

RUNNING = "Running stage 'train':\n> python -m stages.train\n"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (RUNNING + "Updating lock file 'dvc.lock'\n", Result.RAN),
        ("Stage 'train' is cached - skipping run, checking out outputs\n", Result.RESTORED),
        ("Stage 'train' didn't change, skipping\n", Result.UNCHANGED),
    ],
)
def test_success(tmp_path: Path, text: str, result: Result) -> None:
    (tmp_path / "log").write_text(text, encoding="utf-8")
    outcome = judge("train", 0, tmp_path / "log")
    assert outcome.ok and outcome.result is result


@pytest.mark.parametrize(
    ("code", "ending", "cause", "curable"),
    [
        (255, "failed to run: python -m stages.train, exited with 2", Cause.MISTAKE, False),
        (255, "failed to run: python -m stages.train, exited with 1", Cause.MISTAKE, False),
        (255, "failed to run: python -m stages.train, exited with 75", Cause.TEMPORARY, True),
        (255, "failed to run: python -m stages.train, exited with 76", Cause.MEMORY, True),
        (255, "failed to run: python -m stages.train, exited with -9", Cause.KILLED, True),
        (255, "failed to run: python -m stages.train, exited with 137", Cause.KILLED, True),
        (-9, "", Cause.KILLED, True),
        (255, "'/data/raw' is busy, it is being blocked by:\n  (PID 7): dvc repro", Cause.BUSY, False),
        (255, "Unable to acquire lock. Most likely another DVC process is running", Cause.BUSY, False),
        (255, "output 'x' does not exist", Cause.MISTAKE, False),
        (255, "unable to read: 'dvc.lock', YAML file structure is corrupted", Cause.BUSY, False),
        (255, "\n'./dvc.lock' validation failed.", Cause.BUSY, False),
        (255, "Unable to read RWLock-file '.dvc/tmp/rwlock'. JSON structure is corrupted", Cause.BUSY, False),
    ],
)
def test_failure(tmp_path: Path, code: int, ending: str, cause: Cause, curable: bool) -> None:
    log = tmp_path / "log"
    began = "" if cause is Cause.BUSY else RUNNING
    log.write_text(f"{began}error: row 7\nERROR: failed to reproduce 'train': {ending}\n", encoding="utf-8")
    outcome = judge("train", code, log)
    assert (outcome.cause, outcome.cause in CURABLE) == (cause, curable)
    assert "error: row 7" in outcome.tail


def test_what_we_ended_is_no_failure_of_the_stage(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ERROR: failed to reproduce 'train': failed to run: x, exited with 143\n", encoding="utf-8")
    assert judge("train", 255, log, stopped=True).cause is Cause.STOPPED
    assert judge("train", 255, log, expired=True).cause is Cause.TIMEOUT


def test_of_a_progress_bar_the_last_state_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"begin\nepoch 1\repoch 2\repoch 3\nend \xff\n")
    assert last(log).splitlines() == ["begin", "epoch 3", "end \ufffd"]
    assert last(tmp_path / "none") == ""
