"""Leftovers of the run cache at which plain DVC fails (docs/faults.md 54)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from dvc_repository import Kill, Repository, assert_done, killed

from ops import repair
from ops.repair import run_cache


@pytest.mark.parametrize(
    ("kill", "symptom"),
    [(Kill("/runs/", "outs:"), "'outs'"), (Kill("folder", None), "NoneType")],
    ids=["entry without outputs", "folder without entry"],
)
def test_a_run_cache_that_was_being_written(
    repository: Repository, control: Repository, kill: Kill, symptom: str
) -> None:
    plain = killed(repository, kill)
    failed = plain.dvc("repro")
    assert failed.code != 0 and symptom in failed.output
    told = repair.repair()
    assert any("the run cache held 1 entries" in sentence for sentence in told)
    assert_done(repository, control)


@pytest.mark.slow
@pytest.mark.parametrize("until", ["", "ath:", None], ids=["empty", "half a line", "not renamed"])
def test_leftovers_of_the_run_cache_that_plain_dvc_bears(
    repository: Repository, control: Repository, until: str | None
) -> None:
    assert killed(repository, Kill("/runs/", until)).dvc("repro").code == 0
    assert list(Path(".dvc/cache/runs").rglob("*.tmp"))
    assert any("the run cache held 1 entries" in sentence for sentence in repair.repair())
    assert not list(Path(".dvc/cache/runs").rglob("*.tmp"))
    assert_done(repository, control)


def test_entries_of_the_run_cache_that_are_no_entries(repository: Repository) -> None:
    folder = Path(".dvc/cache/runs/ab/abcd")
    folder.mkdir(parents=True)
    for name, content in {"a": b"", "b": b"cmd: x\n", "c": b"\0" * 100, "d": b"cmd: x\nouts: 3\n"}.items():
        (folder / name).write_bytes(content)
    (folder / "e").write_text("{cmd: x, outs: [{path: y}]}\n")
    (told,) = repair.repair()
    assert "held 4 entries" in told
    assert [path.name for path in folder.iterdir()] == ["e"]


@pytest.fixture
def elsewhere(repository: Repository, tmp_path: Path) -> Path:
    """A cache outside of the repository."""
    with Path(".dvc/config").open("a") as config:
        config.write(f"[cache]\n    dir = {os.path.relpath(tmp_path / 'cache', '.dvc')}\n")
    shutil.copytree(".dvc/cache", tmp_path / "cache")
    return tmp_path / "cache"


@contextmanager
def another_dvc(folder: Path, cache: Path) -> Iterator[None]:
    """A process that looks like one, in a repository with this cache."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text(f"[cache]\n    dir = {cache}\n")
    process = subprocess.Popen(["dvc", "60"], executable=shutil.which("sleep"), cwd=folder)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_kill_beside_a_cache_elsewhere_is_mended_at_once(
    repository: Repository, control: Repository, elsewhere: Path, tmp_path: Path
) -> None:
    """docs/faults.md 108: no minute passes where nobody else can be writing there."""
    assert repository.dvc("repro", kill=Kill("/runs/", "outs:")).code == -9
    assert repository.dvc("repro").code != 0
    began = time.monotonic()
    with another_dvc(tmp_path / "other", tmp_path / "cache of its own"):
        assert any("the run cache held 1 entries" in sentence for sentence in repair.repair())
    assert time.monotonic() - began < 10
    repository.ran()
    assert repository.dvc("repro").code == 0 and repository.outputs() == control.outputs()


@pytest.mark.parametrize("why", ["a DVC in another folder", "a file system of several machines"])
def test_what_somebody_else_may_be_writing_is_left_alone(
    repository: Repository, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    folder = elsewhere / "runs" / "ab" / "abcd"
    folder.mkdir(parents=True)
    (folder / ".x.tmp").touch()
    if why.startswith("a file system"):
        monkeypatch.setattr(run_cache, "REMOTE", re.compile(re.escape(run_cache._file_system(folder))))
    with another_dvc(tmp_path / "other", elsewhere) if why.startswith("a DVC") else nullcontext():
        assert repair.repair() == []
        os.utime(folder / ".x.tmp", (0, 0))
        assert len(repair.repair()) == 1
    assert not folder.exists()


@pytest.mark.parametrize(("kind", "shared"), [("nfs4", True), ("fuse.sshfs", True), ("ext4", False), ("xfs", False)])
def test_file_systems_of_several_machines_are_known(kind: str, shared: bool) -> None:
    assert bool(run_cache.REMOTE.fullmatch(kind)) is shared


def test_the_file_system_of_a_path(tmp_path: Path) -> None:
    (told,) = subprocess.run(["stat", "-f", "-c", "%T", "/proc"], check=True, capture_output=True).stdout.split()
    assert told == b"proc" and run_cache._file_system(Path("/proc")) == "proc"
    assert run_cache._file_system(tmp_path)
