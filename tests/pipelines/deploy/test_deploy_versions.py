"""Versions of real sources: folders, git repositories, files of a real HTTP server."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from stand_in import FileServer, commit, git

from core.errors import SourceError
from core.params import SourceParams
from pipelines.deploy import versions
from pipelines.deploy.versions import UnsettledError, Version


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def source(place: str, **values: Any) -> SourceParams:
    return SourceParams(
        **{"source": place, "sha256": None, "commit": None, "files": None, "allow_private": True, **values}
    )


def look(source: SourceParams, seen: Version | None = None, **values: Any) -> Version:
    remembered = {"reads": seen.reads, "mark": seen.mark} if seen else None
    return versions.look(source, "detection", remembered, **{"settle_s": 0.0, "branch": None, **values})


def test_the_sample_never_changes() -> None:
    assert look(source("sample")) == Version({"source": "sample"})


def test_a_local_source_changes_with_its_contents(place: Path) -> None:
    data = place / "data"
    data.mkdir()
    (data / "a.txt").write_text("one")
    first = look(source(str(data)))
    assert first.reads["count"] == 1
    assert look(source(str(data)), first).reads == first.reads
    (data / "a.txt").write_text("two")
    second = look(source(str(data)), first)
    assert second.reads["digest"] != first.reads["digest"]


def test_a_touched_file_is_no_change(place: Path) -> None:
    file = place / "pairs.tsv"
    file.write_text("one\ttwo\n")
    first = look(source(str(file)))
    file.touch()
    second = look(source(str(file)), first)
    assert second.reads == first.reads
    assert second.mark != first.mark


def test_a_copy_that_goes_on_does_not_count_yet(place: Path) -> None:
    data = place / "data"
    data.mkdir()
    (data / "a.txt").write_text("one")
    first = look(source(str(data)))
    (data / "b.txt").write_text("half")
    writes = threading.Timer(0.15, lambda: (data / "b.txt").write_text("half and the rest"))
    writes.start()
    with pytest.raises(UnsettledError):
        look(source(str(data)), first, settle_s=0.5)
    writes.join()
    assert look(source(str(data)), first).reads["count"] == 2


def test_a_missing_or_empty_folder_is_an_error_and_no_change(place: Path) -> None:
    """A mount that went away must not start a training."""
    data = place / "data"
    with pytest.raises(SourceError, match="is not there"):
        look(source(str(data)))
    data.mkdir()
    with pytest.raises(SourceError, match=r"is empty; is it mounted\?"):
        look(source(str(data)))


def test_a_git_source_has_a_pin_and_news(place: Path) -> None:
    corpus = place / "corpus"
    corpus.mkdir()
    git(corpus, "init", "--quiet", "--initial-branch=main")
    pinned = commit(corpus)
    here = source(f"file://{corpus}", commit=pinned)
    assert look(here).upstream == pinned
    newest = commit(corpus)
    found = look(here)
    assert (found.reads["commit"], found.upstream) == (pinned, newest)
    assert found.todo == {"detection.data.commit": newest}
    git(corpus, "branch", "stable", pinned)
    assert look(here, branch="stable").upstream == pinned
    with pytest.raises(SourceError, match="no refs/heads/stabel"):
        look(here, branch="stabel")


def test_a_git_repository_that_is_gone_is_an_error(place: Path) -> None:
    with pytest.raises(SourceError, match=r"detection\.data\.source: git ls-remote failed"):
        look(source(f"file://{place}/absent.git", commit="0" * 40))


@pytest.mark.parametrize("url", ["ssh://127.0.0.1/x.git", "git@localhost:x.git", "https://10.0.0.1/x.git"])
def test_a_private_git_server_is_refused_unless_allowed(url: str) -> None:
    """docs/faults.md 38."""
    with pytest.raises(SourceError, match="private address"):
        look(source(url, commit="0" * 40, allow_private=False))


def test_an_option_as_url_is_no_option(place: Path) -> None:
    with pytest.raises(SourceError):
        look(source("git+--upload-pack=touch hacked", commit="0" * 40))
    assert not list(place.rglob("hacked"))


def archive(files: FileServer, **values: Any) -> SourceParams:
    return source(files.url, sha256="0" * 64, **values)


def test_another_file_behind_a_url_is_news(files: FileServer) -> None:
    first = look(archive(files))
    assert look(archive(files)).upstream == first.upstream
    files.headers["ETag"] = '"2"'
    found = look(archive(files))
    assert found.upstream != first.upstream
    assert found.reads == first.reads
    assert files.url in found.todo["detection.data.sha256"]
    assert set(files.asked) == {"HEAD"}


def test_a_server_without_head_is_asked_by_get(files: FileServer) -> None:
    files.head_status = 405
    assert "ETag" in str(look(archive(files)).upstream)
    assert files.asked == ["HEAD", "GET"]


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (503, {}, "the server answers 503"),
        (404, {}, "the server answers 404"),
        (200, {}, "names neither ETag"),
        (302, {"Location": "file:///etc/passwd"}, "not http"),
        (302, {"Location": "/data.zip"}, "more than 5 redirects"),
    ],
)
def test_a_server_that_does_not_tell_is_an_error(
    files: FileServer, status: int, headers: dict[str, str], expected: str
) -> None:
    files.status, files.headers = status, headers
    with pytest.raises(SourceError, match=expected):
        look(archive(files))


def test_a_server_that_is_gone_is_an_error() -> None:
    with pytest.raises(SourceError, match="cannot be asked"):
        look(source("http://127.0.0.1:9/x.zip", sha256="0" * 64))


def test_a_private_server_is_not_asked_unless_allowed(files: FileServer) -> None:
    """docs/faults.md 38."""
    with pytest.raises(SourceError, match="private address"):
        look(archive(files, allow_private=False))
    assert files.asked == []
