"""Data and outputs over a real DVC remote: from one clone to the next."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stand_in import commit, git
from warm import Warm

from pipelines.deploy import remote
from pipelines.deploy.remote import RemoteError

pytestmark = pytest.mark.servers

PIPELINE = """
stages:
  one: {cmd: "echo one >> ../ran; cp in.txt out", deps: [in.txt], outs: [out]}
  two: {cmd: "echo two >> ../ran; cp out end", deps: [out], outs: [end]}
"""


Dvc = Callable[..., str]
"""A command of DVC in a folder; returns what it printed."""


@pytest.fixture
def dvc(warm: Warm, monkeypatch: pytest.MonkeyPatch) -> Dvc:
    """Those that `remote` calls are like it: processes as ever, which need not import DVC first."""

    def run(command: list[str], *, check: bool, **how: Any) -> subprocess.CompletedProcess[str]:
        how = {key: value for key, value in how.items() if key not in ("capture_output", "text")}
        done = warm.run(command, **how)
        if check:
            done.check_returncode()
        return done

    # The name in that module alone: elsewhere a process is started as it is.
    monkeypatch.setattr(remote, "subprocess", types.SimpleNamespace(**vars(subprocess) | {"run": run}))
    return lambda where, *arguments: run([sys.executable, "-m", "dvc", *arguments], cwd=where, check=True).stdout


@pytest.fixture
def origin(tmp_path: Path, dvc: Dvc) -> Path:
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


def clone(origin: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh clone, as the working directory."""
    path = origin.parent / name
    git(origin.parent, "clone", "--quiet", str(origin), str(path))
    monkeypatch.chdir(path)
    return path


def test_a_fresh_clone_takes_over_what_another_one_made(
    origin: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    origin: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    path = clone(origin, "first", monkeypatch)
    dvc(path, "remote", "modify", "--local", "store", "url", url)
    with pytest.raises(RemoteError, match="the DVC remote 'store' takes nothing: dvc push failed"):
        remote.pull("store")


@pytest.mark.slow
def test_a_push_is_tried_again_and_says_where_the_outputs_are(
    origin: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
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
