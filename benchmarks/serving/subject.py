"""What is measured: a package, its inputs, a bare predictor, and the server as a user starts it."""

from __future__ import annotations

import json
import mimetypes
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.serving.load import Request, post
from core import paths, task
from core.files import read_json
from serving.ways import Way

INPUTS = 64
CONNECTIONS = 16
"""Clients that send without a pause, to find what a server can do."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Subject:
    package: Path
    task: str
    inputs: list[Any]
    """Of the predictor: paths of images, sentences."""

    @property
    def verb(self) -> str:
        return str(task.load(self.task, "serve").VERB)

    def predictor(self, threads: int) -> Any:
        return task.load(self.task, "predict").Predictor(self.package / "model", threads=threads)

    def requests(self) -> list[Request]:
        """A request for each input, as a client of the plain endpoint sends it."""
        return [
            Request(i, post("localhost", f"/v1/{self.verb}", *self._body(value))) for i, value in enumerate(self.inputs)
        ]

    def _body(self, value: Any) -> tuple[str, bytes]:
        """A file as it is, another value as JSON in the field that a raw body would fill."""
        if isinstance(value, Path):
            return mimetypes.guess_type(value.name)[0] or "application/octet-stream", value.read_bytes()
        (field,) = set(task.load(self.task, "serve").RAW.values())
        return "application/json", json.dumps({field: value}).encode()


def subject(package: Path) -> Subject:
    """Inputs are those of the validation split, when the data is there, else the package's golden samples."""
    name = read_json(package / "model" / "model.json")["task"]
    data = paths.clean(name)
    if data.exists():
        return Subject(package, name, task.load(name, "predict").inputs(data, "val", INPUTS))
    samples = read_json(package / "golden" / "samples.json")
    return Subject(package, name, [package / "golden" / s["file"] if "file" in s else s["input"] for s in samples])


@dataclass(frozen=True)
class Server:
    port: int
    process: psutil.Process
    ready_s: float
    """From the command to the first `ready`."""

    def memory_mb(self) -> float:
        """Resident, of all its processes."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(process.memory_info().rss for process in family) / 1e6


def flags(way: Way) -> list[str]:
    """Of `python -m serving`."""
    chosen = {"workers": way.workers, "instances": way.instances, "threads": way.threads}
    return [word for name, value in chosen.items() for word in (f"--{name}", str(value))]


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    """`python -m serving` on a free port, until it is ready."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        command = [sys.executable, "-m", "serving", *arguments, "--port", "0"]
        process = subprocess.Popen(command, stderr=log, env=environment)
        try:
            port = _wait(process, log)
            yield Server(port, psutil.Process(process.pid), time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[bytes], log: Any) -> int:
    port = None
    while process.poll() is None:
        if port is None:
            log.seek(0)
            urls = [json.loads(line)["url"] for line in log.read().splitlines() if b'"listening"' in line]
            port = int(urls[0].rpartition(":")[2]) if urls else None
        if port is not None and _ready(port):
            return port
        time.sleep(0.01)
    log.seek(0)
    raise SystemExit(f"the server did not start:\n{log.read().decode()}")


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
