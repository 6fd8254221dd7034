"""The server's figures: `python -m benchmarks.serving throughput|latency|overload|memory|start|peers PACKAGE...`

throughput  requests a second over those of a bare loop of the same Predictor, the same inputs and threads, interleaved
latency     p50 and p99 at 70 % of the throughput over the latency at batch 1, in rounds in which nobody took the CPU
overload    1.5 times the throughput for `--minutes`: statuses, wrong answers, memory
memory      of all packages together under the worst requests; the server's flags are its defaults
start       seconds from the command to ready, memory at rest
peers       `mlflow models serve` and LitServe with the same model under the same load

Inputs are the validation split's, where `make repro` has made it, else the package's golden samples.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import time
from pathlib import Path
from statistics import median

from benchmarks.serving import load
from benchmarks.serving.latency import latency
from benchmarks.serving.memory import memory
from benchmarks.serving.peers import peers
from benchmarks.serving.subject import CONNECTIONS, Server, Subject, serving, subject
from core import task

OVER = 1.5


def bare(predictor: object, given: Subject, seconds: float, batch: int) -> float:
    """Predictions a second of a loop in this process, files read and decoded as the server does."""
    inputs = [value.read_bytes() if isinstance(value, Path) else value for value in given.inputs]
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        chunk = [inputs[(done + i) % len(inputs)] for i in range(batch)]
        predictor(chunk)  # type: ignore[operator]
        done += batch
    return done / spent


def throughput(given: Subject, server: Server, options: argparse.Namespace) -> float:
    """Printed; returns the server's median requests a second."""
    predictor, requests = given.predictor(options.threads), given.requests()
    bare(predictor, given, 1, 1)
    asyncio.run(load.closed(server.port, requests, 2, CONNECTIONS))
    ours, loops, batched = [], [], []
    for _ in range(options.rounds):
        loops.append(bare(predictor, given, options.seconds, 1))
        ours.append(asyncio.run(load.closed(server.port, requests, options.seconds, CONNECTIONS)).rate)
        batched.append(bare(predictor, given, options.seconds, options.batch))
    ratios = [mine / loop for mine, loop in zip(ours, loops, strict=True)]
    print(
        f"{given.task}: {median(ours):.1f} requests/s, {CONNECTIONS} connections; bare loop {median(loops):.1f}/s, "
        f"in batches of {options.batch} {median(batched):.1f}/s\n"
        f"  over the bare loop: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}; asked 0.9); over the "
        f"batched one: {median(m / b for m, b in zip(ours, batched, strict=True)):.2f}"
    )
    return median(ours)


def overload(given: Subject, server: Server, options: argparse.Namespace) -> None:
    requests = given.requests()
    capacity = asyncio.run(load.closed(server.port, requests, options.seconds, CONNECTIONS)).rate
    expected = asyncio.run(alone(server.port, requests))
    memory = [server.memory_mb()]
    total = load.Result()
    for minute in range(options.minutes):
        found = asyncio.run(load.opened(server.port, requests, 60, OVER * capacity, expected=expected))
        memory.append(server.memory_mb())
        total.statuses += found.statuses
        total.sent, total.wrong, total.broken = (
            total.sent + found.sent,
            total.wrong + found.wrong,
            total.broken + found.broken,
        )
        print(
            f"  minute {minute + 1}: {dict(found.statuses)}, p99 {found.milliseconds(99):.0f} ms, {memory[-1]:.0f} MB"
        )
    print(
        f"{given.task}: {OVER} times {capacity:.1f}/s for {options.minutes} minutes: {total.sent} sent, "
        f"{dict(total.statuses)}, {total.broken} without an answer, {total.wrong} unlike the answer of an idle server; "
        f"memory {memory[0]:.0f} MB before, {memory[1]:.0f} after a minute, {memory[-1]:.0f} at the end"
    )


async def alone(port: int, requests: list[load.Request]) -> dict[int, bytes]:
    """The body of each answer when nothing shares its batch."""
    answers = {}
    for request in requests:
        connection = await asyncio.open_connection("127.0.0.1", port)
        answers[request.key] = (await load.answer(*connection, request.content))[2]
        connection[1].close()
    return answers


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.serving", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["throughput", "latency", "overload", "memory", "start", "peers"])
    parser.add_argument("packages", nargs="+", type=lambda text: Path(text).absolute())
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime, in both; %(default)s")
    parser.add_argument("--instances", type=int, default=1, help="batches side by side; %(default)s")
    parser.add_argument("--seconds", type=float, default=8, help="a round; %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="%(default)s")
    parser.add_argument("--minutes", type=int, default=10, help="of overload; %(default)s")
    parser.add_argument("--batch", type=int, default=8, help="of the second bare loop; %(default)s")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {options.threads} thread(s) a batch")
    flags = ["--threads", str(options.threads), "--instances", str(options.instances)]
    if options.what == "start":
        for _ in range(options.rounds):
            with serving(*map(str, options.packages), *flags) as server:
                print(f"ready after {server.ready_s:.2f} s, {server.memory_mb():.0f} MB at rest")
        return
    if options.what == "memory":
        names = {package.name: subject(package).task for package in options.packages}
        with serving(*map(str, options.packages), *flags) as server:
            memory(server, {name: task.load(of, "serve") for name, of in names.items()})
        return
    for package in options.packages:
        given = subject(package)
        if options.what == "peers":
            peers(given, options.threads, options.instances, options.seconds, options.rounds, CONNECTIONS)
            continue
        with serving(str(package), *flags) as server:
            if options.what == "latency":
                latency(given, server, options.seconds, options.rounds)
            else:
                {"throughput": throughput, "overload": overload}[options.what](given, server, options)


if __name__ == "__main__":
    main()
