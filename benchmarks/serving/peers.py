"""Other servers with the same model under the same load: `mlflow models serve` and LitServe.

Each is started as its documentation says, with the same Predictor and as many threads for one prediction, and with as
many processes that compute (`--workers` of MLflow, `workers_per_device` of LitServe) as the server computes batches
side by side. All get the same inputs as JSON (images in base64) over kept connections.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.serving import load
from benchmarks.serving.subject import ROOT, Subject, flags, serving
from core import task
from ops.tracking import model
from serving.ways import Way

START_S = 120
OURS = "stillhouse"


def peers(given: Subject, way: Way, seconds: float, rounds: int, connections: Sequence[int]) -> dict[str, Any]:
    """Requests a second and tails of each server, in rounds that take turns; printed, too."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = stack.enter_context(serving(str(given.package), *flags(way))).port
        mlflow = stack.enter_context(_mlflow(given, way, scratch))
        litserve = stack.enter_context(_litserve(given, way, scratch))
        ports = {
            OURS: (ours, _requests(given, f"/v1/{given.verb}", _plain)),
            "mlflow": (mlflow, _requests(given, "/invocations", _invocation)),
            "litserve": (litserve, _requests(given, "/predict", _plain)),
        }
        for port, requests in ports.values():
            load.run(load.closed(port, requests, 3, 16))
        rows = {str(number): _compared(ports, seconds, rounds, number) for number in connections}
    versions = {name: version(name) for name in ports if name != OURS}
    for number, row in rows.items():
        print(f"{given.task}, {number} connection(s):")
        for name, found in row.items():
            print(
                f"  {name} {versions.get(name, '')}: {found['rate']:.1f} requests/s, p50 {found['p50']:.1f} ms, p99 "
                f"{found['p99']:.1f} ms, {found['failed']} failed"
                + (f"; ours is {found['ours_over']:.2f} times as fast" if name != OURS else "")
            )
    return {"versions": versions, "connections": rows}


def _compared(
    ports: dict[str, tuple[int, list[load.Request]]], seconds: float, rounds: int, connections: int
) -> dict[str, dict[str, Any]]:
    found: dict[str, list[load.Result]] = {name: [] for name in ports}
    for _ in range(rounds):
        for name, (port, requests) in ports.items():
            found[name].append(load.run(load.closed(port, requests, seconds, connections)))
    return {
        name: {
            "rate": median(result.rate for result in results),
            "p50": median(result.milliseconds(50) for result in results),
            "p99": median(result.milliseconds(99) for result in results),
            "failed": sum(result.broken + result.statuses.total() - result.statuses[200] for result in results),
            "ours_over": median(ours.rate / theirs.rate for ours, theirs in zip(found[OURS], results, strict=True)),
        }
        for name, results in found.items()
    }


def _requests(given: Subject, path: str, body: Any) -> list[load.Request]:
    values = [
        base64.b64encode(value.read_bytes()).decode() if isinstance(value, Path) else value for value in given.inputs
    ]
    (field,) = set(task.load(given.task, "serve").RAW.values())
    contents = [json.dumps(body(field, value)).encode() for value in values]
    return [
        load.Request(i, load.post("localhost", path, "application/json", content)) for i, content in enumerate(contents)
    ]


def _plain(field: str, value: str) -> dict[str, Any]:
    return {field: value}


def _invocation(field: str, value: str) -> dict[str, Any]:
    return {"inputs": [value]}


@contextmanager
def _mlflow(given: Subject, way: Way, scratch: Path) -> Iterator[int]:
    folder = scratch / "mlflow"
    first = given.inputs[0]
    example = first.read_bytes() if isinstance(first, Path) else first
    model.save(given.package, folder, given.task, example, task.load(given.task, "serve").MAX_BATCH)
    described = folder / "MLmodel"
    described.write_text(described.read_text().replace("threads: 0", f"threads: {way.threads}"))
    port = _free()
    options = ["-m", str(folder), "--env-manager", "local", "--port", str(port), "--workers", str(way.together)]
    with _process([sys.executable, "-m", "mlflow", "models", "serve", *options], scratch, f"{port}/ping"):
        yield port


@contextmanager
def _litserve(given: Subject, way: Way, scratch: Path) -> Iterator[int]:
    port = _free()
    numbers = map(str, (port, way.threads, way.together))
    command = [sys.executable, "-m", "benchmarks.serving.litserve_app", str(given.package), *numbers]
    with _process(command, scratch, f"{port}/health"):
        yield port


@contextmanager
def _process(command: list[str], scratch: Path, health: str) -> Iterator[None]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = (scratch / "log").open("wb")
    process = subprocess.Popen(
        command, cwd=scratch, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        end = time.monotonic() + START_S
        while not _answers(health):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{' '.join(command)} did not start:\n{(scratch / 'log').read_text()[-3000:]}")
            time.sleep(0.2)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def _answers(health: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{health}", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
