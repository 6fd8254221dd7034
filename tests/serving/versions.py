"""New versions of packages that a server has, put where the old ones are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import packages_tiny

from core.files import read_json

NEW = "3" * 40


def resealed(folder: Path) -> None:
    """The same model of another commit."""
    packages_tiny.reseal(folder, NEW)


def named(package: Path) -> str:
    """As the server names a version."""
    return str(read_json(package / "passport.json")["seal"][:12])


def released(package: Path, change: Callable[[Path], None] = resealed) -> str:
    """Change a copy of `package`, then swap it in as the stage `package` does; returns the version's name."""
    made, old = package.with_name(f".{package.name}.new"), package.with_name(f".{package.name}.old")
    shutil.copytree(package, made)
    change(made)
    package.rename(old)
    made.rename(package)
    shutil.rmtree(old)
    return named(package)


def flipped(path: Path) -> None:
    """One bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
