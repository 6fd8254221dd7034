"""Data and outputs over a real DVC remote: from one clone to the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from stand_in import commit, git

from pipelines.deploy import remote
from pipelines.deploy.remote import RemoteError

PIPELINE = """
stages:
  one: {cmd: "echo one >> ../ran; cp in.txt out", deps: [in.txt], outs: [out]}
  two: {cmd: "echo two >> ../ran; cp out end", deps: [out], outs: [end]}
"""


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with two stages and the remote `store`, a folder beside it."""
    path = tmp_path / "origin"
    path.mkdir()
    git(path, "init", "--quiet")
    dvc(path, "init", "--quiet")
    dvc(path, "remote", "add", "store", "../store")
    (path / "dvc.yaml").write_text(PIPELINE)
    (path / ".gitignore").write_text("/out\n/end\n")
    (path / "in.txt").write_text("in")
    commit(path)
    return path


def dvc(where: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=where, check=True, capture_output=True, text=True).stdout


def clone(origin: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh clone, as the working directory."""
    path = origin.parent / name
    git(origin.parent, "clone", "--quiet", str(origin), str(path))
    monkeypatch.chdir(path)
    return path


def test_a_fresh_clone_takes_over_what_another_one_made(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = clone(origin, "first", monkeypatch)
    remote.pull("store")  # nothing is there yet
    dvc(first, "repro", "--quiet")
    remote.push("store")
    assert (origin.parent / "ran").read_text().split() == ["one", "two"]
    second = clone(origin, "second", monkeypatch)
    assert not (second / "dvc.lock").exists()
    monkeypatch.setenv(remote.CACHE, str(origin.parent / "cache"))  # one that outlives the clone
    remote.pull("store")
    for stage in ("one", "two"):
        dvc(second, "--wait-for-lock", "repro", "--single-item", "--pull", stage)
    assert (second / "end").read_text() == "in"
    assert (origin.parent / "ran").read_text().split() == ["one", "two"]
    assert git(second, "status", "--porcelain") == "?? dvc.lock"
    assert list((origin.parent / "cache" / "files").rglob("*"))
    assert not (second / ".dvc" / "cache").exists()


def test_an_unknown_remote_is_told_with_the_valid_ones(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone(origin, "first", monkeypatch)
    with pytest.raises(RemoteError, match=r"no DVC remote 'stor'; did you mean 'store'\?"):
        remote.pull("stor")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/store", "s3://bucket/store"])
def test_a_remote_that_takes_nothing_is_found_before_the_run(
    origin: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    path = clone(origin, "first", monkeypatch)
    dvc(path, "remote", "modify", "--local", "store", "url", url)
    with pytest.raises(RemoteError, match="the DVC remote 'store' takes nothing: dvc push failed"):
        remote.pull("store")


@pytest.mark.slow
def test_a_push_is_tried_again_and_says_where_the_outputs_are(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAIT_S", 0.0)
    path = clone(origin, "first", monkeypatch)
    dvc(path, "repro", "--quiet")
    dvc(path, "remote", "modify", "--local", "store", "url", "../origin/in.txt")
    with pytest.raises(RemoteError, match=f"The outputs are only in {path}"):
        remote.push("store")


def test_without_the_variable_no_remote_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(remote.VARIABLE, raising=False)
    assert remote.named() is None
    monkeypatch.setenv(remote.VARIABLE, "store")
    assert remote.named() == "store"
