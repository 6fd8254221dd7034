"""Finished packages for a server that watches a folder: each comes whole or not at all.

The flow calls `put` after a run when the variable STILLHOUSE_PACKAGES names the folder. There `NAME` is a link to
`.versions/NAME-SEAL`, exchanged in one step, so that the server sees the old package or the new one. The one before
stays: for the server while it still reads it, and for going back.

A signature that a package has goes with it. Where the variable STILLHOUSE_SIGNING_KEY names a private key, what is put
there is signed by that key.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from core.errors import StillhouseError
from core.files import read_json, write_text
from ops import passport
from ops.passport import signature

VARIABLE = "STILLHOUSE_PACKAGES"
KEY = "STILLHOUSE_SIGNING_KEY"
VERSIONS = ".versions"


def named() -> Path | None:
    """The folder that is watched, None: packages stay where they were made."""
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def put(packages: Path, served: Path) -> list[str]:
    """Put every package of a folder where the server looks; returns what is new there, as NAME-SEAL.

    Raises: StillhouseError when a package does not hold, or the folder cannot be written; what was served stays.
    """
    new = []
    for package in sorted(path.parent for path in packages.glob(f"*/{passport.NAME}")):
        if problems := passport.verify(package):
            raise StillhouseError(f"{package}: the passport does not hold: {problems[0]}; package the model again")
        try:
            new += _put(package, served)
        except OSError as error:
            raise StillhouseError(
                f"{package} cannot be put into {served}: {error.strerror}; is it a folder that this user "
                "may write, with room in it?"
            ) from None
    return new


def _put(package: Path, served: Path) -> list[str]:
    link, versions = served / package.name, served / VERSIONS
    version = f"{package.name}-{read_json(package / passport.NAME)['seal'][: passport.DIGITS]}"
    before = link.readlink().name if link.is_symlink() else None
    if before == version:
        return [version] if _signed_anew(package, versions / version) else []
    if link.exists() and not link.is_symlink():
        raise StillhouseError(f"{link} was put there by hand; move it away, the next run puts its package there")
    versions.mkdir(parents=True, exist_ok=True)
    if not (versions / version).exists():
        aside = versions / f"{version}.partial"
        shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed
        shutil.copytree(package, aside)
        if key := os.environ.get(KEY):
            signature.sign(aside, Path(key))
        os.sync()
        aside.rename(versions / version)
    new = served / f".{package.name}.partial"
    new.unlink(missing_ok=True)
    new.symlink_to(Path(VERSIONS, version))
    new.replace(link)
    for old in versions.glob(f"{package.name}-*"):
        if old.name not in (version, before):
            shutil.rmtree(old, ignore_errors=True)
    return [version]


def _signed_anew(package: Path, there: Path) -> bool:
    """Sign what the server has already, when another key signs now, or take over the signature that came later."""
    if key := os.environ.get(KEY):
        if signature.by(there, Path(key)):
            return False
        signature.sign(there, Path(key))
        return True
    made, has = package / signature.NAME, there / signature.NAME
    if not made.is_file() or (has.is_file() and has.read_bytes() == made.read_bytes()):
        return False
    write_text(has, made.read_text(encoding="utf-8"))
    return True
