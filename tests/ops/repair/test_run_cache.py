"""Leftovers of the run cache at which plain DVC fails (docs/faults.md 54)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dvc_repository import Kill, Repository, assert_done, killed

from ops import repair


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


def test_a_cache_elsewhere_may_be_used_by_others(repository: Repository, tmp_path: Path) -> None:
    with Path(".dvc/config").open("a") as config:
        config.write(f"[cache]\n    dir = {os.path.relpath(tmp_path / 'cache', '.dvc')}\n")
    folder = tmp_path / "cache" / "runs" / "ab" / "abcd"
    folder.mkdir(parents=True)
    (folder / ".x.tmp").touch()
    assert repair.repair() == []
    os.utime(folder / ".x.tmp", (0, 0))
    assert len(repair.repair()) == 1
    assert not folder.exists()
