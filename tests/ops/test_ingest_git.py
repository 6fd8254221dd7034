"""Commits of real git repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sources import commit, git, repository, source

from core.errors import SourceError
from ops import ingest
from ops.ingest import git as git_source

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def corpus(folder: Path) -> tuple[Path, str]:
    """A repository with two commits, and the first one's id."""
    path = folder / "corpus"
    first = repository(path)
    (path / "train.en").write_text("second\n")
    commit(path)
    return path, first


def test_a_commit_of_a_git_repository_is_checked_out(corpus: tuple[Path, str]) -> None:
    path, first = corpus
    found = ingest.fetch(source(f"file://{path}", commit=first), "t")
    assert (found / "train.en").read_text() == "first\n"
    assert not (found / "link").is_symlink()
    assert not (found / ".git").exists()


def test_a_relative_local_repository(corpus: tuple[Path, str]) -> None:
    found = ingest.fetch(source("corpus", commit=corpus[1]), "t")
    assert (found / "train.en").read_text() == "first\n"


def test_a_commit_that_only_a_tag_holds(corpus: tuple[Path, str]) -> None:
    path, _ = corpus
    (path / "train.en").write_text("tagged\n")
    tagged = commit(path)
    git(path, "tag", "v2")
    git(path, "reset", "--quiet", "--hard", "HEAD~1")
    assert (ingest.fetch(source(f"file://{path}", commit=tagged), "t") / "train.en").read_text() == "tagged\n"


def test_a_commit_that_is_not_there_is_named(corpus: tuple[Path, str]) -> None:
    with pytest.raises(SourceError, match="check URL and commit"):
        ingest.fetch(source(f"file://{corpus[0]}", commit="0" * 40), "t")
    assert not list(Path(".stillhouse/downloads").glob("git-*"))


def test_an_option_as_url_is_no_option(folder: Path) -> None:
    with pytest.raises(SourceError):
        ingest.fetch(source("git+--upload-pack=touch hacked", commit="0" * 40), "t")
    assert not list(folder.rglob("hacked"))


@pytest.mark.parametrize(
    "url",
    [
        "ssh://127.0.0.1/x.git",
        "git://[::1]/x.git",
        "git@localhost:x.git",
        "https://10.0.0.1/x.git",
        "HTTPS://10.0.0.1/x.git",
        "git+git+ssh://127.0.0.1/x.git",
        "git+ssh://127.0.0.1/x.git",
        "ssh+git://127.0.0.1/x.git",
        "GIT+SSH://127.0.0.1/x.git",
        "ssh://a@b@127.0.0.1/x.git",
        "git@git@localhost:x.git",
        "git+localhost:x.git",
        "git@[::1]:x.git",
        "git@[localhost:22]:x.git",
    ],
)
def test_a_private_git_server_is_refused_unless_allowed(url: str) -> None:
    """faults.md row 38."""
    with pytest.raises(SourceError, match="private address"):
        ingest.fetch(source(url, commit="0" * 40, allow_private=False), "t")


@pytest.mark.parametrize(
    "url", ["git+ext::sh -c touch hacked", "git+http::http://127.0.0.1/x", "git+ftp://h/x", "git+a+b://h/x"]
)
def test_what_a_helper_of_git_would_read_is_refused(url: str, folder: Path) -> None:
    with pytest.raises(SourceError, match="expected one of file, git, http, https, ssh"):
        ingest.fetch(source(url, commit="0" * 40, allow_private=False), "t")
    assert not list(folder.rglob("hacked"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git+https://h/x", "https://h/x"),
        ("git+file:///a/b", "file:///a/b"),
        ("git@h:x", "git@h:x"),
        ("git+../there", "../there"),
        ("/a/b", "/a/b"),
    ],
)
def test_a_url_as_git_takes_it(url: str, expected: str) -> None:
    assert git_source.plain(url) == expected


def test_a_tree_that_holds_itself_again_and_again_is_refused(
    corpus: tuple[Path, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand files of four trees, ten entries each; nothing is written."""
    path, _ = corpus
    blob = git(path, "rev-parse", "HEAD:train.en")
    tree, kind, mode = blob, "blob", "100644"
    for _level in range(4):
        entries = "".join(f"{mode} {kind} {tree}\t{name}\n" for name in range(10))
        made = subprocess.run(["git", "mktree"], cwd=path, input=entries, capture_output=True, text=True, check=True)
        tree, kind, mode = made.stdout.strip(), "tree", "040000"
    bomb = git(path, "commit-tree", tree, "-m", "bomb")
    git(path, "tag", "bomb", bomb)
    monkeypatch.setattr(git_source, "LIMIT_FILES", 9_999)
    with pytest.raises(SourceError, match="more than 9,999 files"):
        ingest.fetch(source(f"file://{path}", commit=bomb), "t")
    assert not list((folder / ".stillhouse").rglob("train.en"))
    monkeypatch.setattr(git_source, "LIMIT_FILES", 10_000)
    monkeypatch.setattr(git_source, "LIMIT_BYTES", 1_000)
    with pytest.raises(SourceError, match="1,000 bytes"):
        ingest.fetch(source(f"file://{path}", commit=bomb), "t")


def test_inside_a_git_hook_the_users_repository_is_left_alone(
    corpus: tuple[Path, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = folder / "mine"
    head = repository(mine)
    monkeypatch.setenv("GIT_DIR", str(mine / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(mine))
    found = ingest.fetch(source(f"file://{corpus[0]}", commit=corpus[1]), "t")
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    assert (found / "train.en").exists()
    assert git(mine, "rev-parse", "HEAD") == head
    assert git(mine, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(mine, "status", "--porcelain") == ""
