"""What the terminal shows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.flow import view
from pipelines.flow.outcome import Cause, Outcome, Result
from pipelines.flow.plan import Plan, Step
from pipelines.flow.scheduler import Attempt, Record, Scheduler, State
from pipelines.flow.slots import Slots

STEPS = (
    Step("prepare@detection", (), ("forced",)),
    Step("train@detection", ("prepare@detection",), ("forced",)),
    Step("train@translation", (), ("forced",)),
    Step("evaluate@detection", ("train@detection",), ("forced",)),
    Step("export@translation", ("train@translation",), ("forced",)),
)


@pytest.fixture
def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    """One stage done, one running, one failed, the rest waiting or cancelled."""
    monkeypatch.chdir(tmp_path)
    made = Scheduler(Plan({step.name: step for step in STEPS}), Slots(2, cores=2), {}, tmp_path / "logs")
    log = tmp_path / "log"
    log.write_text("epoch 1/3  loss 2.5\repoch 2/3  loss 2.1\n", encoding="utf-8")
    now = time.time()
    done, running, failed = (made.records[step.name] for step in STEPS[:3])
    done.state, done.attempts = State.DONE, [Attempt(log, now, outcome=Outcome(Result.RAN))]
    running.state, running.started, running.attempts = State.RUNNING, now - 754, [Attempt(log, now)]
    why = Outcome(Result.FAILED, Cause.MISTAKE, 2, ("error: dev.ja has 499 lines, dev.en 500",))
    failed.state, failed.started, failed.ended, failed.attempts = State.FAILED, now - 9, now, [Attempt(log, now)]
    failed.attempts[0].outcome = why
    cancelled = made.records["export@translation"]
    cancelled.state, cancelled.blamed = State.CANCELLED, "train@translation"
    return made


def test_the_screen_shows_what_matters_in_eighty_columns(scheduler: Scheduler) -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(view.screen(scheduler))
    text = console.export_text()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    running = next(line for line in lines if line.strip().startswith("train@detection"))
    assert "running" in running and "12:34" in running and "epoch 2/3  loss 2.1" in running
    failed = next(line for line in lines if line.strip().startswith("train@translation"))
    assert "failed" in failed and "mistake: error: dev.ja" in failed
    assert "1 of 5 done, 1 running, 1 waiting, 1 failed, 1 cancelled" in text
    assert "critical path" in text and "train@detection > evaluate@detection" in text
    assert "prepare@detection" not in text, "what is done needs no room"


def test_failures_say_why_where_and_what_else(scheduler: Scheduler) -> None:
    text = view.failures(scheduler)
    assert text.startswith("error: train@translation failed (mistake):\n    error: dev.ja has 499 lines, dev.en 500")
    assert f"log: {Path('log').resolve()}" in text
    assert "cancelled: export@translation" in text


@pytest.mark.parametrize(("seconds", "shown"), [(7.9, "0:07"), (754, "12:34"), (3723, "1:02:03")])
def test_clock(seconds: float, shown: str) -> None:
    assert view.clock(seconds) == shown


def test_a_record_counts_from_its_first_attempt() -> None:
    assert Record("a").seconds == 0.0
    assert Record("a", started=10.0, ended=12.5).seconds == 2.5
