"""Commits of real git repositories."""

from __future__ import annotations

from pathlib import Path

import pytest
from sources import commit, git, repository, source

from core.errors import SourceError
from ops import ingest

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
    "url", ["ssh://127.0.0.1/x.git", "git://[::1]/x.git", "git@localhost:x.git", "https://10.0.0.1/x.git"]
)
def test_a_private_git_server_is_refused_unless_allowed(url: str) -> None:
    """faults.md row 38."""
    with pytest.raises(SourceError, match="private address"):
        ingest.fetch(source(url, commit="0" * 40, allow_private=False), "t")


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
