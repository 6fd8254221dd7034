"""How long an answer takes at 70 % load, against an idle server.

The tail is that of the machine as well: where another process, or a hypervisor, takes the CPU for some milliseconds,
every request behind them waits. So it is measured in short rounds, each with its own idle server and its own capacity,
and rounds in which others took more than `QUIET` of the CPU are printed, but not counted.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from statistics import median
from typing import Any

import psutil

from benchmarks.serving import load
from benchmarks.serving.subject import CONNECTIONS, Server, Subject

SHARE = 0.7
QUIET = 0.02
PATIENCE = 6
"""So many times the rounds that are asked for are tried, to find so many quiet ones."""
HEAD = "  others  capacity/s | idle p50   p99 | light p50   p99 | even p50   p99 | Poisson p50   p99  (ms)"


@dataclass(frozen=True)
class Round:
    """Latencies in milliseconds."""

    others: float
    """Share of the CPU that went to other processes and other machines."""
    capacity: float
    idle_50: float
    idle_99: float
    light_50: float
    """At 70 % of what one client that waits for each answer gets: no batch is needed."""
    light_99: float
    even_50: float
    """At 70 % of the capacity, which is that of full batches."""
    even_99: float
    poisson_50: float
    poisson_99: float

    def line(self) -> str:
        return (
            f"  {self.others:6.1%}  {self.capacity:10.1f} | {self.idle_50:8.1f} {self.idle_99:5.1f} | "
            f"{self.light_50:9.1f} {self.light_99:5.1f} | "
            f"{self.even_50:8.1f} {self.even_99:5.1f} | {self.poisson_50:11.1f} {self.poisson_99:5.1f}"
        )


def latency(given: Subject, server: Server, seconds: float, rounds: int, patience: int = PATIENCE) -> dict[str, Any]:
    """Printed, too. seconds: of each load; the rest of a round takes as long as one of them.

    Returns: medians of the quiet rounds, of all where none was, and of their ratios.
    """
    requests = given.requests()
    load.run(load.closed(server.port, requests, 2, CONNECTIONS))
    print(f"{given.task}: {SHARE:.0%} of the capacity, evenly spaced and as a Poisson process\n{HEAD}", flush=True)
    tried: list[Round] = []
    while len(tried) < patience * rounds and len(quiet := [r for r in tried if r.others <= QUIET]) < rounds:
        tried.append(_round(server, requests, seconds))
        print(tried[-1].line(), flush=True)
    quiet = [r for r in tried if r.others <= QUIET]
    for name, counted in (("quiet", quiet), ("all", tried)):
        if counted:
            print(f"  {name} rounds ({len(counted)}), median: {_verdict(counted)}")
    if not quiet:
        print(f"  in every round others took more than {QUIET:.0%} of the CPU")
    counted = quiet or tried
    return {
        "quiet": len(quiet),
        "tried": len(tried),
        **asdict(_medians(counted)),
        "even_over_idle": median(r.even_99 / r.idle_50 for r in counted),
        "poisson_over_idle": median(r.poisson_99 / r.idle_50 for r in counted),
    }


def _medians(counted: list[Round]) -> Round:
    return Round(*map(median, zip(*map(astuple, counted), strict=True)))


def _verdict(counted: list[Round]) -> str:
    light, even, poisson = (
        f"{median(getattr(r, f'{kind}_99') / r.idle_50 for r in counted):.2f} of idle p50, "
        f"{median(getattr(r, f'{kind}_99') / r.idle_99 for r in counted):.2f} of idle p99"
        for kind in ("light", "even", "poisson")
    )
    return f"p99 {even} (asked 2); Poisson {poisson}; light {light}\n" + _medians(counted).line()


def _round(server: Server, requests: list[load.Request], seconds: float) -> Round:
    port, before = server.port, _cpu(server)
    capacity = load.run(load.closed(port, requests, seconds / 2, CONNECTIONS)).rate
    idle = load.run(load.closed(port, requests, seconds / 2, 1))
    light = load.run(load.opened(port, requests, seconds, SHARE * idle.rate))
    even = load.run(load.opened(port, requests, seconds, SHARE * capacity))
    poisson = load.run(load.opened(port, requests, seconds, SHARE * capacity, poisson=True))
    others, total = (after - earlier for after, earlier in zip(_cpu(server), before, strict=True))
    tails = [result.milliseconds(percent) for result in (idle, light, even, poisson) for percent in (50, 99)]
    return Round(others / total, capacity, *tails)


def _cpu(server: Server) -> tuple[float, float]:
    """Seconds that the CPU worked for anyone but the server and this process; and all, idle ones too."""
    spent = psutil.cpu_times()
    family = [psutil.Process(), server.process, *server.process.children(recursive=True)]
    ours = sum(times.user + times.system for times in (process.cpu_times() for process in family))
    idle = spent.idle + getattr(spent, "iowait", 0.0)
    return sum(spent[:8]) - idle - ours, sum(spent[:8])  # the columns behind are parts of `user` and `nice`
