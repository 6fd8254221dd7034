"""Nothing is said to be unchanged that has changed, however the change is hidden."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import unchanged

LOCK = """\
schema: '2.0'
stages:
  train@toy:
    cmd: python -m stages.train toy
    deps:
    - path: code
      hash: md5
    - path: data/in.txt
      hash: md5
    outs:
    - path: models/out
      hash: md5
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline that has run, and a source elsewhere that params name by a variable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAW", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(unchanged, "TICK_NS", 20_000_000)
    files = {"dvc.lock": LOCK, "dvc.yaml": "a", "params.yaml": "seed: 7", "matrix.yaml": "b", "data/in.txt": "abcd"}
    files |= {"code/a.py": "1", "code/inner/b.py": "2", "models/out/w.bin": "www", "elsewhere/raw/x.jpg": "xxx"}
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "code" / "__pycache__").mkdir()
    return tmp_path


def look() -> unchanged.Look:
    return unchanged.Look(["$RAW/raw"])


def settled() -> None:
    """Past the last tick in which the fixture wrote."""
    time.sleep(2 * unchanged.TICK_NS / 1e9)


def rewrite(path: str, text: str) -> None:
    """As many bytes, and the old date again."""
    before = Path(path).stat()
    Path(path).write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = Path(path).stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)


def swap(path: str) -> None:
    """Another file of the same size and date in its place."""
    shutil.copy2(path, "aside")
    Path("aside").replace(path)


CHANGES: dict[str, Callable[[], object]] = {
    "touched": lambda: Path("data/in.txt").touch(),
    "rewritten with its old date": lambda: rewrite("data/in.txt", "abce"),
    "an output rewritten": lambda: rewrite("models/out/w.bin", "vvv"),
    "swapped": lambda: swap("code/inner/b.py"),
    "gone": lambda: Path("models/out/w.bin").unlink(),
    "a folder gone": lambda: shutil.rmtree("models"),
    "one more": lambda: Path("code/inner/c.py").write_text(""),
    "an empty folder more": lambda: Path("code/new").mkdir(),
    "other rights": lambda: Path("code/a.py").chmod(0o755),
    "renamed": lambda: Path("code/a.py").rename("code/z.py"),
    "params": lambda: rewrite("params.yaml", "seed: 8"),
    "the lock": lambda: rewrite("dvc.lock", LOCK.replace("toy", "tox")),
    "DVC's configuration": lambda: (Path(".dvc").mkdir(), Path(".dvc/config").write_text("")),
    "what is ignored": lambda: Path(".dvcignore").write_text("*.py"),
    "what is ignored further down": lambda: Path("models/.dvcignore").write_text("*.bin"),
    "raw data elsewhere": lambda: rewrite("elsewhere/raw/x.jpg", "xxy"),
    "a variable that leads to other raw data": lambda: os.environ.__setitem__("RAW", str(Path("other").resolve())),
}


def test_what_has_not_changed_is_told_with_its_tasks(folder: Path) -> None:
    settled()
    assert look().remember(["toy"])
    assert unchanged.remembered() == ["toy"]
    (folder / "code" / "__pycache__" / "a.pyc").write_text("Python writes there")
    (folder / "notes.txt").write_text("no stage depends on it")
    assert unchanged.remembered() == ["toy"]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_change_is_seen(change: str) -> None:
    settled()
    assert look().remember(["toy"])
    CHANGES[change]()
    assert unchanged.remembered() is None


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_what_changes_while_dvc_looks_is_not_believed(change: str) -> None:
    settled()
    begun = look()
    CHANGES[change]()
    settled()
    assert not begun.remember(["toy"]) and unchanged.remembered() is None


def test_what_was_changed_within_the_last_tick_is_not_believed() -> None:
    """Another change in it would have the same time."""
    settled()
    Path("data/in.txt").write_text("dcba")
    assert not look().remember(["toy"]) and unchanged.remembered() is None


def test_a_clock_that_went_back_is_not_believed() -> None:
    settled()
    ahead = time.time_ns() + 3_600_000_000_000
    os.utime("data/in.txt", ns=(ahead, ahead))
    settled()
    assert not look().remember(["toy"])


def test_a_run_that_is_killed_leaves_nothing_to_believe() -> None:
    settled()
    assert look().remember(["toy"])
    look()  # begins, and does not come to its end
    assert unchanged.remembered() is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"python": 1', "\xff"])
def test_a_damaged_memory_is_none(text: str) -> None:
    unchanged.FILE.parent.mkdir(exist_ok=True)
    unchanged.FILE.write_text(text, encoding="latin-1")
    assert unchanged.remembered() is None


def test_links_in_circles_end() -> None:
    Path("code/again").symlink_to(Path("code").resolve())
    settled()
    assert look().remember(["toy"]) and unchanged.remembered() == ["toy"]


@pytest.mark.parametrize("lock", [None, "stages: {}\n", "stages:\n  a:\n    deps:\n    - path: 'it''s'\n"])
def test_without_a_lock_that_names_files_nothing_is_kept(lock: str | None) -> None:
    Path("dvc.lock").unlink()
    if lock is not None:
        Path("dvc.lock").write_text(lock)
    settled()
    begun = look()
    assert not begun.roots
    assert not begun.remember(["toy"])
