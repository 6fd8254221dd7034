"""More requests than a server can answer, for minutes: what comes back, and how much memory it holds."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.serving import load
from benchmarks.serving.subject import CONNECTIONS, Server, Subject

OVER = 1.5


def overload(given: Subject, server: Server, seconds: float, minutes: int) -> dict[str, Any]:
    """Printed, too. seconds: in which the capacity is found."""
    requests = given.requests()
    capacity = load.run(load.closed(server.port, requests, seconds, CONNECTIONS)).rate
    expected = load.run(alone(server.port, requests))
    memory = [server.memory_mb()]
    total = load.Result()
    for minute in range(minutes):
        found = load.run(load.opened(server.port, requests, 60, OVER * capacity, expected=expected))
        memory.append(server.memory_mb())
        total.statuses += found.statuses
        total.sent, total.wrong = total.sent + found.sent, total.wrong + found.wrong
        total.broken += found.broken
        tail = f"p99 {found.milliseconds(99):.0f} ms, {memory[-1]:.0f} MB"
        print(f"  minute {minute + 1}: {dict(found.statuses)}, {tail}", flush=True)
    print(
        f"{given.task}: {OVER} times {capacity:.1f}/s for {minutes} minutes: {total.sent} sent, "
        f"{dict(total.statuses)}, {total.broken} without an answer, {total.wrong} unlike the answer of an idle server; "
        f"memory {memory[0]:.0f} MB before, {memory[1]:.0f} after a minute, {memory[-1]:.0f} at the end",
        flush=True,
    )
    return {
        "minutes": minutes,
        "over": OVER,
        "capacity": capacity,
        "sent": total.sent,
        "statuses": {str(status): count for status, count in sorted(total.statuses.items())},
        "broken": total.broken,
        "wrong": total.wrong,
        "memory_mb": memory,
    }


async def alone(port: int, requests: list[load.Request]) -> dict[int, bytes]:
    """The body of each answer when nothing shares its batch."""
    answers = {}
    for request in requests:
        connection = await asyncio.open_connection("127.0.0.1", port)
        answers[request.key] = (await load.answer(*connection, request.content))[2]
        connection[1].close()
    return answers
