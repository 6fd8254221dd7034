"""What the tests of `ops.ingest` fetch: files of a real HTTP server, commits of real git repositories."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from core.params import SourceParams

NOISE = {"noise": hashlib.shake_256(b"seed").digest(300_000)}
"""A file that no archive makes smaller."""


class Server(ThreadingHTTPServer):
    """Serves `files` (by path), `/moved` (a redirect to a file), and through it as a proxy any host."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.drops = 0
        """So many answers end in the middle."""
        self.statuses: list[int] = []
        """Given, the last first, before any file is."""
        self.asked = 0
        self.ranges: list[str] = []
        """Of the requests that had one."""

    def offer(self, name: str, content: bytes, **values: Any) -> SourceParams:
        """Serve a file; returns the source that names it."""
        self.files[f"/{name}"] = content
        return source(self.url(name), **{"sha256": hashlib.sha256(content).hexdigest(), **values})

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.server.statuses:
            self.send_response(self.server.statuses.pop())
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        content = self.server.files.get("/" + self.path.rpartition("/")[2])  # a proxy is asked for a whole URL
        if content is None:
            self.send_error(404)
            return
        start = 0
        if asked := self.headers.get("Range"):
            self.server.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.server.drops:
            self.server.drops -= 1
            self.wfile.write(content[start : start + (len(content) - start) // 2])
            self.wfile.flush()
            self.connection.close()
        else:
            self.wfile.write(content[start:])

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""


def source(place: str, **values: Any) -> SourceParams:
    return SourceParams(
        **{"source": place, "sha256": None, "commit": None, "files": None, "allow_private": True, **values}
    )


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return content.getvalue()


def tarred(files: dict[str, bytes], mode: str = "gz") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{mode}") as opened:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
    return content.getvalue()


def git(folder: Path, *arguments: str) -> str:
    """git's output, without its last line's end."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(path: Path) -> str:
    """A new repository with one commit: `train.en` ("first") and a link out of it; returns the commit's id."""
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    (path / "train.en").write_text("first\n")
    (path / "link").symlink_to("/etc/passwd")
    return commit(path)


def commit(path: Path) -> str:
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "change")
    return git(path, "rev-parse", "HEAD")
