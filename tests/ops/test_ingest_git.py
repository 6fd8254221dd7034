"""Commits of real git repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

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
    """docs/faults.md 38."""
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


@pytest.fixture
def vast(folder: Path) -> tuple[Path, str]:
    """A repository of which only a part can be read: the content of `other/huge` is gone from it."""
    path = folder / "vast"
    repository(path)
    wanted = {"texts/en/a.txt": "a", "texts/en/deep/b.txt": "b", "texts/ja/c.txt": "c", "odd [1]* #.txt": "d"}
    for name, content in wanted.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)
    (path / "other").mkdir()
    (path / "other" / "huge").write_text("never to be fetched\n")
    made = commit(path)
    lost = git(path, "rev-parse", "HEAD:other/huge")
    (path / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    git(path, "config", "uploadpack.allowFilter", "true")
    return path, made


def part(vast: tuple[Path, str], *files: str) -> Any:
    return source(f"file://{vast[0]}", commit=vast[1], files=list(files))


def found(where: Path) -> list[str]:
    return sorted(str(path.relative_to(where)) for path in where.rglob("*") if path.is_file())


def test_of_a_part_only_the_part_is_fetched(vast: tuple[Path, str]) -> None:
    where = ingest.fetch(part(vast, "texts/en/", "odd [1]* #.txt"), "t")
    assert found(where) == ["odd [1]* #.txt", "texts/en/a.txt", "texts/en/deep/b.txt"]
    assert (where / "texts/en/a.txt").read_text() == "a"
    whole = source(f"file://{vast[0]}", commit=vast[1])
    with pytest.raises(SourceError, match="git fetch failed"):  # so the content was really asked for here alone
        ingest.fetch(whole, "t")


def test_parts_are_cached_apart(vast: tuple[Path, str]) -> None:
    first, other = (ingest.fetch(part(vast, name), "t") for name in ("texts/en", "texts/ja"))
    assert found(first) == ["texts/en/a.txt", "texts/en/deep/b.txt"]
    assert found(other) == ["texts/ja/c.txt"]
    vast[0].rename(vast[0].with_name("moved away"))
    assert ingest.fetch(part(vast, "texts/en"), "t") == first


def test_a_server_that_cannot_filter_sends_all_and_the_part_is_kept(corpus: tuple[Path, str]) -> None:
    path, _ = corpus
    (path / "more").mkdir()
    (path / "more" / "big").write_text("big\n")
    made = commit(path)
    git(path, "config", "uploadpack.allowFilter", "false")
    assert found(ingest.fetch(part((path, made), "more"), "t")) == ["more/big"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("text/en", r"'text/en' \(there are 'texts'"),
        ("texts/en/b.txt", r"'texts/en/b.txt' \(there are 'texts/en/a.txt'"),
        ("zzz", r"'zzz' \(there are 'link', 'odd \[1\]\* #.txt', 'other', 'texts', 'train.en'\)"),
        ("link/x", r"'link/x' \(there are"),
    ],
)
def test_a_path_that_is_not_in_the_commit_is_named_with_near_ones(vast: tuple[Path, str], name: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        ingest.fetch(part(vast, "texts/ja", name), "t")
    assert not list(Path(".stillhouse/downloads").glob("git-*[0-9a-f]"))


def test_of_a_part_the_whole_tree_is_bounded_too(vast: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/faults.md 114: git reads all of it to find the part. Sizes are not asked for: that would fetch the files."""
    monkeypatch.setattr(git_source, "LIMIT_BYTES", 0)
    assert found(ingest.fetch(part(vast, "texts/ja"), "t")) == ["texts/ja/c.txt"]
    monkeypatch.setattr(git_source, "LIMIT_FILES", 6)  # there are seven
    with pytest.raises(SourceError, match="more than 6 files"):
        ingest.fetch(part(vast, "texts/en"), "t")
