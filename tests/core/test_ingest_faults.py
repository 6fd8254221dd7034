"""What sources do wrong beyond the plain cases of `test_ingest`: damaged archives, hooks, changed caches, twins."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core import ingest
from core.errors import SourceError
from core.params import SourceParams


class Handler(BaseHTTPRequestHandler):
    """Serves `server.content` after the statuses in `server.before`."""

    server: Any

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.server.before:
            self.send_response(self.server.before.pop())
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.before = 0, []  # type: ignore[attr-defined]
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("core.ingest.download.time.sleep", lambda seconds: None)
    return tmp_path


def source(place: str, **values: Any) -> SourceParams:
    return SourceParams(**{"source": place, "sha256": None, "commit": None, "allow_private": True, **values})


def offer(server: Any, content: bytes) -> SourceParams:
    server.content = content
    return source(f"http://127.0.0.1:{server.server_port}/data", sha256=hashlib.sha256(content).hexdigest())


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return content.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as opened:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
    return content.getvalue()


NOISE = {"noise": hashlib.shake_256(b"seed").digest(50_000)}


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


@pytest.mark.parametrize(
    "content",
    [
        tarred(NOISE)[:20_000],
        flipped(zipped(NOISE), 25_000),
        zipped({"a": b"file", "a/b": b"below a file"}),
        zipped({"x" * 300: b"name too long"}),
        zipped({".": b"the folder itself"}),
    ],
    ids=["cut tar", "flipped zip", "file as folder", "long name", "dot"],
)
def test_a_damaged_archive_is_refused_and_leaves_nothing(server: Any, content: bytes) -> None:
    with pytest.raises(SourceError, match="damaged or cannot be unpacked"):
        ingest.fetch(offer(server, content), "t")
    assert not list(Path(".stillhouse/downloads").glob("*.unpacked"))
    assert not list(Path(".stillhouse/downloads").glob(".*"))


def test_a_changed_cache_is_unpacked_anew_without_a_download(server: Any) -> None:
    params = offer(server, zipped({"a": b"one", "b": b"two"}))
    found = ingest.fetch(params, "t")
    (found / "a").write_bytes(b"changed")
    (found / "c").write_bytes(b"added")
    found = ingest.fetch(params, "t")
    assert {path.name: path.read_bytes() for path in found.iterdir()} == {"a": b"one", "b": b"two"}
    assert server.asked == 1


def test_two_tasks_with_one_source_fetch_it_once(server: Any) -> None:
    params = offer(server, zipped(NOISE))
    found: list[Path] = []
    twins = [threading.Thread(target=lambda: found.append(ingest.fetch(params, "t"))) for _ in range(4)]
    for twin in twins:
        twin.start()
    for twin in twins:
        twin.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert server.asked == 1


def test_a_busy_server_is_asked_again(server: Any) -> None:
    params = offer(server, zipped({"a": b"one"}))
    server.before = [429, 503]
    assert (ingest.fetch(params, "t") / "a").read_bytes() == b"one"


@pytest.mark.parametrize(
    "url", ["http://example.org:99999/a.zip", "http://[::1/a.zip", "http:///a.zip", f"http://{'a' * 70}.org/a.zip"]
)
def test_a_url_that_is_none_is_named(url: str) -> None:
    with pytest.raises(SourceError, match=r"data\.source"):
        ingest.fetch(source(url, sha256="0" * 64, allow_private=False), "t")


@pytest.mark.parametrize(
    "url", ["ssh://127.0.0.1/x.git", "git://[::1]/x.git", "git@localhost:x.git", "https://10.0.0.1/x.git"]
)
def test_a_private_git_server_is_refused_unless_allowed(url: str) -> None:
    """faults.md row 38."""
    with pytest.raises(SourceError, match="private address"):
        ingest.fetch(source(url, commit="0" * 40, allow_private=False), "t")


def test_whom_the_connection_reached_is_checked_too(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """faults.md row 38: a name that resolves to a public address for the check, and to a private one afterwards."""
    params = offer(server, zipped({"a": b"one"})).model_copy(update={"allow_private": False})
    monkeypatch.setattr("core.ingest.download.refuse_private", lambda url, proxied: None)
    with pytest.raises(SourceError, match=r"private address 127\.0\.0\.1"):
        ingest.fetch(params, "t")
    assert not list(Path(".stillhouse/downloads").glob("*.download"))


def test_behind_a_proxy_the_proxy_finds_the_host(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    params = offer(server, zipped({"a": b"one"}))
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    outside = params.model_copy(update={"source": "http://nowhere.invalid/data", "allow_private": False})
    assert (ingest.fetch(outside, "t") / "a").read_bytes() == b"one"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def corpus(folder: Path) -> tuple[Path, str]:
    path = folder / "corpus"
    path.mkdir()
    git(path, "init", "--quiet")
    (path / "train.en").write_text("first\n")
    (path / "link").symlink_to("/etc/passwd")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "1")
    return path, git(path, "rev-parse", "HEAD")


def test_a_relative_local_repository(corpus: tuple[Path, str]) -> None:
    found = ingest.fetch(source("corpus", commit=corpus[1]), "t")
    assert (found / "train.en").read_text() == "first\n"
    assert not (found / "link").is_symlink()


def test_inside_a_git_hook_the_users_repository_is_left_alone(
    corpus: tuple[Path, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = folder / "mine"
    mine.mkdir()
    git(mine, "init", "--quiet", "--initial-branch=main")
    (mine / "work").write_text("x")
    git(mine, "add", ".")
    git(mine, "commit", "--quiet", "-m", "mine")
    head = git(mine, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(mine / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(mine))
    found = ingest.fetch(source(f"file://{corpus[0]}", commit=corpus[1]), "t")
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    assert (found / "train.en").exists()
    assert git(mine, "rev-parse", "HEAD") == head
    assert git(mine, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(mine, "status", "--porcelain") == ""


def test_a_commit_that_only_a_tag_holds(corpus: tuple[Path, str]) -> None:
    path, _ = corpus
    (path / "train.en").write_text("tagged\n")
    git(path, "commit", "--quiet", "-am", "2")
    tagged = git(path, "rev-parse", "HEAD")
    git(path, "tag", "v2")
    git(path, "reset", "--quiet", "--hard", "HEAD~1")
    assert (ingest.fetch(source(f"file://{path}", commit=tagged), "t") / "train.en").read_text() == "tagged\n"
