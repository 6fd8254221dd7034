"""Requests a second of a server that is never idle, over what the model alone does in as many processes."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.serving import bare, load
from benchmarks.serving.subject import CONNECTIONS, Server, Subject
from serving.ways import Way


def throughput(given: Subject, server: Server, way: Way, seconds: float, rounds: int, batch: int) -> dict[str, Any]:
    """Printed, too. batch: of a second bare loop, which shows what batches are worth."""
    requests = given.requests()
    ours, loops, batched = [], [], []
    with bare.loops(given, way) as running:
        load.run(load.closed(server.port, requests, 2, CONNECTIONS))
        for _ in range(rounds):
            loops.append(running.rate(seconds))
            ours.append(load.run(load.closed(server.port, requests, seconds, CONNECTIONS)).rate)
            batched.append(running.rate(seconds, batch))
    found: dict[str, Any] = {
        "rate": median(ours),
        "bare": median(loops),
        "over_bare": _ratios(ours, loops),
        "batch": batch,
        "over_batched": _ratios(ours, batched),
    }
    print(
        f"{given.task}: {found['rate']:.1f} requests/s, {CONNECTIONS} connections; bare loop in {way.together} "
        f"process(es) {found['bare']:.1f}/s\n  over the bare loop: {_told(found['over_bare'])} (asked 0.95); over "
        f"one in batches of {batch}: {_told(found['over_batched'])}",
        flush=True,
    )
    return found


def _ratios(mine: list[float], others: list[float]) -> list[float]:
    """Median, least and most of the rounds' ratios."""
    ratios = [one / other for one, other in zip(mine, others, strict=True)]
    return [median(ratios), min(ratios), max(ratios)]


def _told(ratios: list[float]) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*ratios)
