"""Sources come from real HTTP servers and real git repositories, and are refused when they are not what they claim."""

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
from core.ingest import archive
from core.params import SourceParams


class Server(ThreadingHTTPServer):
    """Serves `files`; the first `drops` answers end in the middle."""

    files: dict[str, bytes]
    drops: int
    ranges: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        content = self.server.files.get(self.path)
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


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.files, running.drops, running.ranges = {}, 0, []
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("core.ingest.download.time.sleep", lambda seconds: None)
    return tmp_path


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return content.getvalue()


def source(place: str, **values: Any) -> SourceParams:
    return SourceParams(**{"source": place, "sha256": None, "commit": None, "allow_private": True, **values})


def offer(server: Server, name: str, content: bytes, **values: Any) -> SourceParams:
    server.files[f"/{name}"] = content
    url = f"http://127.0.0.1:{server.server_port}/{name}"
    return source(url, **{"sha256": hashlib.sha256(content).hexdigest(), **values})


def test_an_archive_is_fetched_once_and_unpacked(server: Server) -> None:
    params = offer(server, "data.zip", zipped({"a/train.en": b"one\n", "a/train.ja": b"ichi\n"}))
    found = ingest.fetch(params, "translation")
    assert (found / "a" / "train.en").read_bytes() == b"one\n"
    server.files.clear()
    assert ingest.fetch(params, "translation") == found


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_compressed_tars_are_unpacked(server: Server, mode: str) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{mode}") as opened:  # type: ignore[call-overload]
        info = tarfile.TarInfo("x.txt")
        info.size = 3
        opened.addfile(info, io.BytesIO(b"abc"))
    assert (ingest.fetch(offer(server, "x.tar." + mode, content.getvalue()), "t") / "x.txt").read_bytes() == b"abc"


def test_a_wrong_sha256_is_refused_naming_both(server: Server) -> None:
    """faults.md row 39."""
    content = zipped({"a": b"b"})
    with pytest.raises(SourceError, match=f"sha256 is {hashlib.sha256(content).hexdigest()}.*expects {'0' * 64}"):
        ingest.fetch(offer(server, "data.zip", content, sha256="0" * 64), "t")


def test_a_dropped_download_goes_on_where_it_stopped(server: Server) -> None:
    """faults.md row 40."""
    content = zipped({"noise": hashlib.shake_256(b"seed").digest(300_000)})
    server.drops = 2
    ingest.fetch(offer(server, "data.zip", content), "t")
    assert len(server.ranges) == 2
    assert all(int(asked.removeprefix("bytes=").rstrip("-")) > 0 for asked in server.ranges)


def test_a_server_that_keeps_dropping_leaves_a_partial_file(server: Server) -> None:
    params = offer(server, "data.zip", zipped({"noise": hashlib.shake_256(b"s").digest(300_000)}))
    server.drops = 5
    with pytest.raises(SourceError, match="run the same command again"):
        ingest.fetch(params, "t")
    assert list(Path(".stillhouse/downloads").glob("*.download"))
    ingest.fetch(params, "t")


def test_a_private_address_is_refused_unless_allowed(server: Server) -> None:
    """faults.md row 38."""
    with pytest.raises(SourceError, match=r"private address 127\.0\.0\.1"):
        ingest.fetch(offer(server, "data.zip", zipped({"a": b"b"}), allow_private=False), "t")


def test_a_redirect_to_a_file_is_refused(server: Server) -> None:
    with pytest.raises(SourceError, match="not http"):
        ingest.fetch(source(f"http://127.0.0.1:{server.server_port}/moved", sha256="0" * 64), "t")


def test_a_missing_page_says_so_at_once(server: Server) -> None:
    with pytest.raises(SourceError, match="404"):
        ingest.fetch(source(f"http://127.0.0.1:{server.server_port}/none.zip", sha256="0" * 64), "t")


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside", "..\\outside", "C:/outside"])
def test_an_archive_that_writes_outside_is_refused(server: Server, name: str, folder: Path) -> None:
    """faults.md row 35."""
    with pytest.raises(SourceError, match="outside"):
        ingest.fetch(offer(server, "data.zip", zipped({"fine": b"", name: b"x"})), "t")
    assert not list(folder.rglob("outside"))
    assert not list(folder.rglob("*.unpacked"))


def test_a_zip_bomb_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """faults.md row 36."""
    monkeypatch.setattr(archive, "SMALL", 10**6)
    with pytest.raises(SourceError, match="decompression bomb"):
        ingest.fetch(offer(server, "data.zip", zipped({"zeros": bytes(5 * 10**6)})), "t")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(server: Server, kind: bytes) -> None:
    """faults.md row 37."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as opened:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        opened.addfile(info)
    with pytest.raises(SourceError, match="link or a device"):
        ingest.fetch(offer(server, "data.tar.gz", content.getvalue()), "t")


def test_a_symlink_in_a_zip_is_refused(server: Server) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        opened.writestr(info, "/etc/passwd")
    with pytest.raises(SourceError, match="symbolic link"):
        ingest.fetch(offer(server, "data.zip", content.getvalue()), "t")


def test_what_is_no_archive_is_refused(server: Server) -> None:
    with pytest.raises(SourceError, match="neither a zip nor a tar"):
        ingest.fetch(offer(server, "data.zip", b"hello"), "t")


def test_a_missing_path_says_what_is_there(folder: Path) -> None:
    (folder / "wheat").mkdir()
    with pytest.raises(SourceError, match=r"detection\.data\.source.*no such file.*wheat"):
        ingest.fetch(source(str(folder / "weat")), "detection")


@pytest.fixture
def repository(folder: Path) -> tuple[Path, str]:
    """A git repository with two commits; returns its path and the first commit's id."""
    path = folder / "corpus"
    path.mkdir()

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        done = subprocess.run(["git", *identity, *arguments], cwd=path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet")
    (path / "train.en").write_text("first\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "1")
    first = git("rev-parse", "HEAD")
    (path / "train.en").write_text("second\n")
    git("commit", "--quiet", "-am", "2")
    return path, first


def test_a_commit_of_a_git_repository_is_checked_out(repository: tuple[Path, str]) -> None:
    path, first = repository
    found = ingest.fetch(source(f"file://{path}", commit=first), "t")
    assert (found / "train.en").read_text() == "first\n"
    assert not (found / ".git").exists()


def test_a_commit_that_is_not_there_is_named(repository: tuple[Path, str]) -> None:
    with pytest.raises(SourceError, match="check URL and commit"):
        ingest.fetch(source(f"file://{repository[0]}", commit="0" * 40), "t")
    assert not list(Path(".stillhouse/downloads").glob("git-*"))


def test_an_option_as_url_is_no_option(folder: Path) -> None:
    with pytest.raises(SourceError):
        ingest.fetch(source("git+--upload-pack=touch hacked", commit="0" * 40), "t")
    assert not list(folder.rglob("hacked"))


def test_a_fingerprint_follows_content_and_names(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    (data / "a").write_text("1")
    before = ingest.fingerprint(data)
    assert ingest.fingerprint(data) == before
    assert before["count"] == 1
    (data / "a").write_text("2")
    changed = ingest.fingerprint(data)
    (data / "a").rename(data / "b")
    assert len({before["digest"], changed["digest"], ingest.fingerprint(data)["digest"]}) == 3
