"""What the tests cost: CPU seconds of every case, kept from run to run, and a tier that grew too dear fails.

    pytest --budget quick

adds up the CPU seconds of each case's process and of all processes it started (waiting counts for nothing) and writes
them to `~/.cache/stillhouse/tests/quick.json` (below XDG_CACHE_HOME, where that is set). The run fails when a case
took more than `CASE_S`, or when the tier was over its budget in this run and in the one before: a core that is shared
with others makes a CPU second do less, so a machine has bad days; a tier that stays dear has none. A fixture of a
module or of a session counts for the tier, not for the case that happens to come first.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

BUDGETS_S = {"quick": 540.0, "models": 300.0, "servers": 300.0}
"""CPU seconds of a tier. Quick ones take five minutes of two cores, since tests wait, too."""
CASE_S = 20.0
"""CPU seconds of a case without its fixtures."""
KEPT = 10
"""Runs whose figures are kept."""
SHORT_S = 0.05
"""Seconds of wall time within which nothing is measured anew; it is added to the next phase."""
TICK = os.sysconf("SC_CLK_TCK")


def cpu_s() -> float:
    """CPU seconds so far of this process, of those that it started and that still run, and of those that have ended."""
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system + below(os.getpid())


def below(pid: int) -> float:
    """CPU seconds of the processes that `pid` started and that run, and of theirs, with those of their ended children
    (man 5 proc_pid_stat: ppid, utime, stime, cutime, cstime)."""
    children: dict[int, list[tuple[int, int]]] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            fields = (process / "stat").read_text("latin-1").rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        children.setdefault(int(fields[1]), []).append((int(process.name), sum(map(int, fields[11:15]))))
    ticks, found = 0, [pid]
    while found:
        for child, spent in children.get(found.pop(), ()):
            ticks += spent
            found.append(child)
    return ticks / TICK


class Meter:
    """Measures each case where it runs, and hands the figures on with its reports, through xdist too."""

    def __init__(self) -> None:
        self.last, self.at = cpu_s(), time.monotonic()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Any:
        report = yield
        report.cpu_s = 0.0
        if time.monotonic() - self.at > SHORT_S:  # to look at all processes takes 2 ms
            now = cpu_s()
            report.cpu_s = max(0.0, now - self.last)
            self.last, self.at = now, time.monotonic()
        return report


class Ledger:
    """Adds the figures up, in the process that reports."""

    def __init__(self, tier: str, folder: Path):
        self.tier, self.path = tier, folder / f"{tier}.json"
        self.cases: dict[str, dict[str, float]] = {}
        self.started = time.monotonic()
        self.faults: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        spent = self.cases.setdefault(report.nodeid, {})
        spent[report.when] = spent.get(report.when, 0.0) + getattr(report, "cpu_s", 0.0)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        runs = read(self.path)
        run = summary(self.cases, time.monotonic() - self.started)
        self.faults = faults(self.tier, run, runs[-1] if runs else None)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps([*runs, run][-KEPT:], indent=1) + "\n", encoding="utf-8")
        if self.faults and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        run = read(self.path)[-1]
        terminalreporter.section(f"tier {self.tier}")
        terminalreporter.line(
            f"{run['cases']} cases, {run['cpu_s']:.0f} CPU s of {BUDGETS_S[self.tier]:.0f}, {run['wall_s']:.0f} s; all "
            f"figures: {self.path}"
        )
        for fault in self.faults:
            terminalreporter.line(f"over budget: {fault}", red=True)


def summary(cases: dict[str, dict[str, float]], wall_s: float) -> dict[str, Any]:
    """What is kept of a run. cases: nodeid -> `setup`, `call`, `teardown` -> CPU seconds."""
    ordered = sorted(cases.items(), key=lambda case: -sum(case[1].values()))
    return {
        "cases": len(cases),
        "cpu_s": round(sum(sum(spent.values()) for spent in cases.values()), 2),
        "wall_s": round(wall_s, 1),
        "load": round(os.getloadavg()[2], 2),
        "slowest": {name: {when: round(s, 2) for when, s in spent.items()} for name, spent in ordered},
    }


def faults(tier: str, run: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    """Why a run fails. before: the last run of the tier."""
    found = [
        f"{name} took {spent['call']:.1f} CPU s, a case may take {CASE_S:g}: make it cheaper, or mark it `slow`"
        for name, spent in run["slowest"].items()
        if spent.get("call", 0.0) > CASE_S
    ]
    most = BUDGETS_S[tier]
    if before is not None and min(run["cpu_s"], before["cpu_s"]) > most:
        found.append(f"the tier took {before['cpu_s']:.0f} and {run['cpu_s']:.0f} CPU s, it may take {most:.0f}")
    return found


def read(path: Path) -> list[dict[str, Any]]:
    """The runs that are kept, the last one last; none where the file is missing or damaged."""
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return runs if isinstance(runs, list) else []


def folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stillhouse" / "tests"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--budget", choices=sorted(BUDGETS_S), help="measure CPU seconds; fail when this tier is over its budget"
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--budget"):
        return
    config.pluginmanager.register(Meter(), "stillhouse-meter")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Ledger(config.getoption("--budget"), folder()), "stillhouse-ledger")
