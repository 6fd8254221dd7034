"""What the tests of deployments share: a stand-in for the flow, git, an HTTP server, Prefect's processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[3]
FLOW = '''"""Stands in for the pipeline: writes down where and with what it was called."""

from __future__ import annotations

import json
import os
from pathlib import Path

from prefect import flow

from core import params


@flow(name="stillhouse")
def pipeline(
    targets: list[str] | None = None, jobs: int = 0, gpus: int = -1, force: bool = False, downstream: bool = False
) -> str:
    _, tasks = params.load()
    head = Path(".git/HEAD").read_text().strip()
    found = {"folder": str(Path.cwd()), "head": head, "jobs": jobs, "tasks": list(tasks)}
    found["remote"] = os.environ.get("STILLHOUSE_DVC_REMOTE")
    Path(os.environ["STAND_IN"]).write_text(json.dumps(found))
    return head
'''


def environment(address: str, home: Path) -> dict[str, str]:
    """Of a process that talks to the server."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "STILLHOUSE_"))}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_API_URL": address,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "DO_NOT_TRACK": "1",
    }


def git(where: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=where, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(where: Path) -> str:
    """Everything there is, as a commit; returns its id."""
    git(where, "add", "--all")
    git(where, "commit", "--quiet", "--allow-empty", "-m", "change")
    return git(where, "rev-parse", "HEAD")


def events(server: str, about: str, count: int = 2) -> list[dict[str, Any]]:
    """Events of sources with a word in their payload, in their order; the server stores them a little later."""
    asked = {"filter": {"event": {"prefix": ["stillhouse.source."]}, "order": "ASC"}, "limit": 50}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = httpx.post(f"{server}/events/filter", json=asked).json()["events"]
        mine = [event for event in found if about in str(event["payload"])]
        if len(mine) >= count:
            return mine
        time.sleep(0.5)
    raise AssertionError(found)


class FileServer(ThreadingHTTPServer):
    """Serves one file, of which HEAD tells what is in `headers`; or `status` alone."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.headers: dict[str, str] = {"ETag": '"1"', "Content-Length": "5"}
        self.status = 200
        self.head_status: int | None = None
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/data.zip"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_HEAD(self) -> None:
        self._answer(self.server.head_status or self.server.status)

    def do_GET(self) -> None:
        self._answer(self.server.status)

    def _answer(self, status: int) -> None:
        self.server.asked.append(self.command)
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""
