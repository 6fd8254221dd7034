"""dvc.lock: half written, cut, of another shape; plain DVC fails at it or forgets, mended it goes on.

docs/faults.md 53.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from dvc_repository import Kill, Repository, assert_done, killed

from ops import repair
from ops.repair import places


@pytest.mark.parametrize(
    ("until", "wrong"),
    [("", "was empty"), ("\n  b:", "was cut off"), ("ath: b\n", "was cut off"), ("  b:", "had lost its end")],
    ids=["empty", "end of a line", "half a line", "between stages"],
)
def test_a_dvc_lock_that_was_being_written(repository: Repository, control: Repository, until: str, wrong: str) -> None:
    plain = killed(repository, Kill("dvc.lock", until))
    torn = Path("dvc.lock").read_bytes()
    failed = plain.dvc("repro", "--no-run-cache")
    assert failed.code != 0 or "b" in plain.ran(), "plain DVC neither fails nor forgets: nothing to mend"
    (told,) = repair.repair()
    assert wrong in told
    (aside,) = Path(".stillhouse/damaged").iterdir()
    assert aside.read_bytes() == torn and str(aside) in told
    assert_done(repository, control, "--no-run-cache")
    assert repository.ran() == ["c.txt"], "stages that were done before are remembered"


def test_what_can_be_read_of_a_dvc_lock_without_a_copy(repository: Repository, control: Repository) -> None:
    plain = killed(repository, Kill("dvc.lock", "ath: c.txt"))
    assert plain.dvc("repro").code != 0
    places.KEPT.unlink()
    (told,) = repair.repair()
    assert "2 from it and 0 from the kept copy" in told
    assert_done(repository, control)
    assert repository.ran() == [], "the run cache has the third"


def test_a_dvc_lock_of_which_nothing_can_be_read_is_removed(repository: Repository, control: Repository) -> None:
    plain = killed(repository, Kill("dvc.lock", ""))
    assert plain.dvc("repro").code != 0
    places.KEPT.write_text("no: copy\n")
    (told,) = repair.repair()
    assert "removed" in told and not Path("dvc.lock").exists()
    assert_done(repository, control)
    assert repository.ran() == []


NO_LOCK_FILES = [b"\xff\xfe\n", b"stages: [\n", b"schema: '2.0'\nstages:\n", b"schema: '2.0'\n", b"- a\n", b"\0" * 99]


@pytest.mark.parametrize("content", NO_LOCK_FILES)
def test_a_dvc_lock_that_is_none(repository: Repository, content: bytes) -> None:
    before = Path("dvc.lock").read_bytes()
    Path("dvc.lock").write_bytes(content)
    (told,) = repair.repair()
    assert told.startswith("dvc.lock")
    assert Path("dvc.lock").read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "schema: '2.0'\n",
        "schema: '2.0'\nstages: {}\n",
        "schema: '2.0'\nstages:\n  on:\n    cmd: x\n",
        "schema: '2.0'\nstages:\n  'a b':\n    cmd:\n    - x\n    - y\n",
        "schema: '2.0'\nstages:\n  ? a\n  : cmd: x\n",
        "schema: '2.0'\ndatasets:\n- name: d\n  type: url\nstages:\n  a:\n    cmd: |\n      x\n\n      y\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: x\ndatasets:\n- name: d\n",
    ],
)
def test_a_dvc_lock_of_another_spelling_is_left_alone(repository: Repository, text: str) -> None:
    places.KEPT.unlink()
    Path("dvc.lock").write_text(text)
    assert repair.repair() == []
    repair.keep()
    assert places.KEPT.read_text() == text


def test_a_dvc_lock_that_git_has_so_is_left_alone(repository: Repository) -> None:
    """The copy knows more stages: the user has checked out an older dvc.lock."""
    text = Path("dvc.lock").read_text()
    short = text[: text.index("  b:")]
    Path("dvc.lock").write_text(short)
    for words in (
        ["init", "-q"],
        ["add", "dvc.lock"],
        ["-c", "user.name=t", "-c", "user.email=t", "commit", "-qm", "t"],
    ):
        subprocess.run(["git", *words], check=True)
    assert repair.repair() == []
    repair.keep()
    assert places.KEPT.read_text() == short


def test_a_merge_and_other_ends_of_lines_are_left_to_the_user(repository: Repository) -> None:
    text = Path("dvc.lock").read_text()
    for conflict in (text.replace("  b:", "<<<<<<< ours\n  b:"), text.replace("\n", "\r\n")):
        Path("dvc.lock").write_bytes(conflict.encode())
        assert repair.repair() == []
        assert Path("dvc.lock").read_bytes() == conflict.encode()


def test_a_stage_that_was_removed_is_not_brought_back(repository: Repository) -> None:
    assert repository.dvc("remove", "c").code == 0
    assert repair.repair() == []
    assert "  c:" not in Path("dvc.lock").read_text()


def test_a_dvc_lock_that_was_deleted_is_not_brought_back(repository: Repository) -> None:
    """Who deletes it wants to run anew."""
    Path("dvc.lock").unlink()
    assert repair.repair() == []
    repair.keep()
    assert not Path("dvc.lock").exists() and not places.KEPT.exists()


def test_a_damaged_dvc_lock_is_not_kept(repository: Repository) -> None:
    kept = places.KEPT.read_bytes()
    for length in (0, 100, kept.index(b"  b:"), len(kept) - 1):
        Path("dvc.lock").write_bytes(kept[:length])
        repair.keep()
        assert places.KEPT.read_bytes() == kept


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_a_dvc_lock_that_is_cut_anywhere(repository: Repository, control: Repository, kept: bool) -> None:
    """Also where plain DVC would notice nothing: what comes out is the same."""
    assert repository.dvc("repro").code == 0
    whole = Path("dvc.lock").read_text()
    for length in range(0, len(whole), 37):
        if not kept:
            places.KEPT.unlink(missing_ok=True)
        Path("dvc.lock").write_text(whole[:length])
        repair.repair()
        assert_done(repository, control)
        assert kept or not places.KEPT.exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_kill_before_any_change_of_a_file(repository: Repository, control: Repository, tmp_path: Path) -> None:
    """All stages run; every eleventh change is tried."""
    number, ended = 1, False
    while not ended:
        trial = repository.copy(tmp_path / str(number))
        os.chdir(trial.folder)
        Path("source.txt").write_text("two\n")
        ended = trial.dvc("repro", kill=Kill("change", str(number))).code == 0
        repair.repair()
        assert trial.dvc("repro").code == 0
        Path("source.txt").write_text("one\n")
        assert_done(trial, control)
        assert not any(Path(".dvc/cache/runs").rglob("*.tmp"))
        number += 11
    assert number > 100, "a run changes more files than that"
