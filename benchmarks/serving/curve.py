"""Latency over offered load: what a server's answers take from idle to beyond what it can do."""

from __future__ import annotations

from typing import Any

from benchmarks.serving import load
from benchmarks.serving.subject import CONNECTIONS, Server, Subject

SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2)
"""Of the capacity."""
HEAD = "  share  offered/s |  even p50     p99  refused | Poisson p50     p99  refused  (ms, %)"


def curve(given: Subject, server: Server, seconds: float) -> dict[str, Any]:
    """Printed, too. seconds: of each load; the capacity is found in twice as many."""
    requests = given.requests()
    load.run(load.closed(server.port, requests, 1, CONNECTIONS))
    capacity = load.run(load.closed(server.port, requests, 2 * seconds, CONNECTIONS)).rate
    idle = load.run(load.closed(server.port, requests, seconds, 1))
    print(f"{given.task}: capacity {capacity:.1f} requests/s, {_told(idle)} by itself\n{HEAD}", flush=True)
    points = []
    for share in SHARES:
        even, poisson = (
            _point(load.run(load.opened(server.port, requests, seconds, share * capacity, poisson=random)))
            for random in (False, True)
        )
        points.append({"share": share, "rate": share * capacity, "even": even, "poisson": poisson})
        cells = "  |  ".join(f"{one['p50']:8.1f} {one['p99']:8.1f} {one['refused']:6.1%}" for one in (even, poisson))
        print(f"  {share:5.0%} {share * capacity:10.1f} | {cells}", flush=True)
    return {
        "capacity": capacity,
        "idle_p50": idle.milliseconds(50),
        "idle_p99": idle.milliseconds(99),
        "points": points,
    }


def _point(result: load.Result) -> dict[str, float]:
    """Milliseconds of answers with 200, and the share of requests without one."""
    return {
        "p50": result.milliseconds(50),
        "p99": result.milliseconds(99),
        "refused": 1 - result.statuses[200] / result.sent,
    }


def _told(result: load.Result) -> str:
    return f"p50 {result.milliseconds(50):.1f} ms, p99 {result.milliseconds(99):.1f} ms"
