"""What is made once for all processes of a test run, or once for all runs on the same code."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from budget import folder
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
KEPT = 3
"""States of the code whose things are kept."""
INSTALLED = ("requirements/*.lock", "tests/once.py")
"""Of what depends on the libraries alone."""


def in_run(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """`name` in the folder that all processes of this test run share; the first that asks has it made at a path."""
    root = factory.getbasetemp()
    return _made((root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / name, make)


def in_all_runs(name: str, sources: Sequence[str], make: Callable[[Path], object]) -> Path:
    """Likewise, kept in the user's cache for as long as nothing changes that `sources` match: globs of the repository
    that name all which it is made of. It belongs to all runs: take a copy.
    """
    digest = hashlib.sha256()
    for path in sorted({path for pattern in sources for path in ROOT.glob(pattern) if path.is_file()}):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    kept = folder() / name
    kept.mkdir(parents=True, exist_ok=True)
    made = _made(kept / digest.hexdigest()[:20], make)
    os.utime(made)
    with FileLock(kept / "old.lock"):
        known = sorted((path for path in kept.iterdir() if not path.suffix), key=lambda path: -path.stat().st_mtime)
        for old in known[KEPT:]:
            _remove(old)
    return made


def _made(path: Path, make: Callable[[Path], object]) -> Path:
    with FileLock(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            partial = path.with_name(f"{path.name}.partial")
            _remove(partial)  # of a run that was killed
            make(partial)
            partial.rename(path)
    return path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
