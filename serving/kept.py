"""Copies of the packages that were served last: what a worker serves that starts when a newer package is no good."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

from ops import passport
from ops.passport import signature
from serving import logs


def place(root: Path, name: str, folder: Path) -> Path:
    """Where the copy of a package is. folder: that it is served from; another one is another package."""
    return root / f"{name}-{sha256(str(folder).encode()).hexdigest()[:12]}"


def keep(root: Path | None, name: str, folder: Path) -> None:
    """Copy a package that has proven itself in place of the one before; whole, or not at all."""
    if root is None:
        return
    copy = place(root, name, folder)
    aside, old = copy.with_name(f".{copy.name}.new"), copy.with_name(f".{copy.name}.old")
    try:
        if (copy / passport.NAME).exists() and same(copy, folder):
            return
        for path in (aside, old):
            shutil.rmtree(path, ignore_errors=True)
        root.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, aside)
        if copy.exists():
            copy.rename(old)
        aside.rename(copy)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        logs.event("package not kept", 30, model=name, reason=str(error))


def same(one: Path, other: Path) -> bool:
    """Whether two packages have one passport, which names every file's digest, and one signature or none."""
    found = [
        [path.read_bytes() if path.is_file() else None for path in (folder / passport.NAME, folder / signature.NAME)]
        for folder in (one, other)
    ]
    return found[0] == found[1]


def find(root: Path | None, name: str, folder: Path) -> Path | None:
    """The copy, if there is one."""
    if root is None:
        return None
    copy = place(root, name, folder)
    return copy if (copy / passport.NAME).exists() else None
