"""What the terminal shows while a flow runs: a live table on a screen, a line per change elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipelines.flow.outcome import Result, last
from pipelines.flow.scheduler import Record, Scheduler, State

STYLE = {
    State.RUNNING: "bold cyan",
    State.RETRYING: "yellow",
    State.FAILED: "bold red",
    State.CANCELLED: "dim",
    State.DONE: "green",
    State.WAITING: "dim",
}
SHOWN = (State.FAILED, State.RUNNING, State.RETRYING)
TAIL_BYTES = 4000


@contextmanager
def shown(scheduler: Scheduler, console: Console | None = None) -> Iterator[None]:
    """Show the scheduler's progress within the block."""
    console = console or Console(stderr=False)
    if not console.is_terminal:
        started = time.monotonic()
        scheduler.listeners.append(lambda record: _line(record, started))
        yield
        return
    with Live(
        get_renderable=lambda: screen(scheduler, console.height), console=console, refresh_per_second=4, transient=True
    ):
        yield


def screen(scheduler: Scheduler, height: int = 40) -> Group:
    """Failed, running and retrying stages with their last log line, counts, and the critical path."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, expand=True, header_style="bold")
    grid.add_column("stage", no_wrap=True)
    grid.add_column("state", no_wrap=True)
    grid.add_column("elapsed", justify="right", no_wrap=True)
    grid.add_column("last line", no_wrap=True, overflow="ellipsis", ratio=1, style="dim")
    records = list(scheduler.records.values())
    rows = sorted((record for record in records if record.state in SHOWN), key=lambda r: SHOWN.index(r.state))
    for record in rows[: max(3, height - 8)]:
        grid.add_row(record.name, Text(_state(record), style=STYLE[record.state]), clock(record.seconds), _last(record))
    return Group(
        grid, Text(_counts(records), style="bold"), Text(_critical(scheduler), overflow="ellipsis", no_wrap=True)
    )


def clock(seconds: float) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _state(record: Record) -> str:
    if record.state is State.RETRYING:
        why = record.outcome.cause.value if record.outcome and record.outcome.cause else record.held.value
        return f"retry in {max(0, round(record.due - time.monotonic()))} s ({why})"
    if record.state is State.RUNNING and len(record.attempts) > 1:
        return f"attempt {len(record.attempts)}"
    return record.state.value


def _last(record: Record) -> str:
    if record.state is State.FAILED and record.outcome:
        cause = record.outcome.cause
        return f"{cause.value if cause else ''}: {record.outcome.tail[-1] if record.outcome.tail else ''}"
    lines = [line for line in last(record.log, TAIL_BYTES).splitlines() if line.strip()] if record.log else []
    return lines[-1].strip() if lines else ""


def _counts(records: list[Record]) -> str:
    count = {state: sum(record.state is state for record in records) for state in State}
    unchanged = sum(r.outcome is None or r.outcome.result is Result.UNCHANGED for r in records if r.state is State.DONE)
    parts = [f"{count[State.DONE]} of {len(records)} done"]
    parts += [f"{unchanged} unchanged"] if unchanged else []
    parts += [
        f"{count[state]} {state.value}"
        for state in (State.RUNNING, State.RETRYING, State.WAITING, State.FAILED, State.CANCELLED)
        if count[state]
    ]
    return ", ".join(parts)


def _critical(scheduler: Scheduler) -> str:
    path = scheduler.critical()
    if not path:
        return ""
    first = scheduler.records[path[0]]
    left = max(0.0, scheduler.remaining[path[0]] - (first.seconds if first.state is State.RUNNING else 0.0))
    return f"critical path, about {clock(left)} left: " + " > ".join(path)


def _line(record: Record, started: float) -> None:
    """A change of state as a line, for logs."""
    if record.state is State.WAITING:
        return
    if record.state is State.DONE:
        result = record.outcome.result.value if record.outcome else Result.UNCHANGED.value
        text = result if result == Result.UNCHANGED.value else f"{result} in {clock(record.seconds)}"
    elif record.state is State.RUNNING:
        threads = record.share.threads if record.share else 0
        text = f"{_state(record)} ({threads} thread{'s' * (threads != 1)})"
    elif record.state is State.CANCELLED:
        text = f"cancelled ({record.blamed})"
    elif record.state is State.FAILED:
        text = f"failed, {_last(record)}"
    else:
        text = _state(record)
    print(f"{clock(time.monotonic() - started):>7}  {record.name}: {text}", file=sys.stdout, flush=True)


def failures(scheduler: Scheduler) -> str:
    """The end of each failed stage's log, where all of it lies, and what was cancelled for it."""
    parts = []
    for record in scheduler.failed:
        assert record.outcome is not None
        cause = record.outcome.cause.value if record.outcome.cause else ""
        below = [other.name for other in scheduler.records.values() if other.blamed == record.name]
        tries = f" after {len(record.attempts)} attempts" if len(record.attempts) > 1 else ""
        parts += [f"error: {record.name} failed{tries} ({cause}):", *(f"    {line}" for line in record.outcome.tail)]
        parts.append(f"  log: {record.log}")
        if below:
            parts.append(f"  cancelled: {', '.join(below)}")
    return "\n".join(parts)
