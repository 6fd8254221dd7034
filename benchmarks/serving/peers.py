"""Other servers with the same model under the same load: `mlflow models serve` and LitServe.

Each is started as its documentation says, with the same Predictor and as many threads for one prediction. MLflow
computes requests side by side in a pool of threads; so the others get `instances` (workers, in LitServe) to use as many
cores, and the same batches. All get the same inputs as JSON (images in base64) over kept connections.
"""

from __future__ import annotations

import asyncio
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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.serving import load
from benchmarks.serving.subject import ROOT, Subject, serving
from core import task
from ops.tracking import model

START_S = 120


def peers(given: Subject, threads: int, instances: int, seconds: float, rounds: int, connections: int) -> None:
    """Requests a second and p99 of each server, in rounds that take turns; printed."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = stack.enter_context(
            serving(str(given.package), "--threads", str(threads), "--instances", str(instances))
        ).port
        mlflow = stack.enter_context(_mlflow(given, threads, scratch))
        litserve = stack.enter_context(_litserve(given, threads, instances, scratch))
        ports = {
            "python -m serving": (ours, _requests(given, f"/v1/{given.verb}", _plain)),
            f"mlflow models serve {version('mlflow')}": (mlflow, _requests(given, "/invocations", _invocation)),
            f"LitServe {version('litserve')}": (litserve, _requests(given, "/predict", _plain)),
        }
        for port, requests in ports.values():
            asyncio.run(load.closed(port, requests, 3, connections))
        found: dict[str, list[load.Result]] = {name: [] for name in ports}
        for _ in range(rounds):
            for name, (port, requests) in ports.items():
                found[name].append(asyncio.run(load.closed(port, requests, seconds, connections)))
    print(f"{given.task}, {connections} connections:")
    first = next(iter(found))
    for name, results in found.items():
        ratio = median(ours.rate / theirs.rate for ours, theirs in zip(found[first], results, strict=True))
        bad = sum(result.broken + sum(result.statuses.values()) - result.statuses[200] for result in results)
        print(
            f"  {name}: {median(r.rate for r in results):.1f} requests/s, p50 "
            f"{median(r.milliseconds(50) for r in results):.0f} ms, p99 "
            f"{median(r.milliseconds(99) for r in results):.0f} ms, {bad} failed"
            + (f"; ours is {ratio:.2f} times as fast" if name != first else "")
        )


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
def _mlflow(given: Subject, threads: int, scratch: Path) -> Iterator[int]:
    folder = scratch / "mlflow"
    first = given.inputs[0]
    example = first.read_bytes() if isinstance(first, Path) else first
    model.save(given.package, folder, given.task, example, task.load(given.task, "serve").MAX_BATCH)
    described = folder / "MLmodel"
    described.write_text(described.read_text().replace("threads: 0", f"threads: {threads}"))
    port = _free()
    options = ["-m", str(folder), "--env-manager", "local", "--port", str(port), "--workers", "1"]
    with _process([sys.executable, "-m", "mlflow", "models", "serve", *options], scratch, f"{port}/ping"):
        yield port


@contextmanager
def _litserve(given: Subject, threads: int, instances: int, scratch: Path) -> Iterator[int]:
    port = _free()
    numbers = map(str, (port, threads, instances))
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
