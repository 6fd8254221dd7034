"""`.dvc/cache/runs`: a kill leaves `.tmp` files and empty folders there, at which the stage then fails for ever."""

from __future__ import annotations

import configparser
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ops.repair.entries import is_entry, parsed
from ops.repair.locks import held
from ops.repair.places import DVC
from ops.repair.processes import dvc_elsewhere

REMOTE = re.compile(r"9p|afs|ceph|cifs|fuse.*|gfs2?|glusterfs|gpfs|lustre|nfs.*|ocfs2|smb.*|virtiofs|vboxsf")
"""Types of file systems that another machine may write, too."""
UNSEEN_AGE_S = 60
"""In a cache outside of `.dvc` other repositories write under other locks. Where one of them may be doing so, what is
younger may be its own."""
WRITTEN_S = 1.0
"""Longer than DVC takes from an entry's folder to its last name: what is younger may be of a DVC in another container,
which is not seen, so it is waited for."""


def mend() -> list[str]:
    folder = cache() / "runs"
    if next(_leftovers(folder), None) is None:
        return []
    older_s = _age_s(folder)
    with held("lock") as mine:
        removed = [path for path in list(_leftovers(folder, older_s)) if _remove(path)] if mine else []
    if not removed:
        return []
    return [f"the run cache held {len(removed)} entries that DVC had not finished (such as {removed[0]}): removed"]


def cache(root: Path = Path()) -> Path:
    """`.dvc/cache` of the repository in `root`, or where its configuration puts the cache."""
    folder = root / DVC
    files = [path for path in (folder / "config", folder / "config.local") if path.exists()]
    if not any("[cache]" in path.read_text(encoding="utf-8") for path in files):
        return folder / "cache"
    config = configparser.ConfigParser(interpolation=None, strict=False)
    with suppress(configparser.Error):  # DVC's own reader takes more, and will tell
        config.read(files, encoding="utf-8")
    return folder / config.get("cache", "dir", fallback="cache").strip("'\"")  # relative to the file


def _age_s(folder: Path) -> float:
    """How old leftovers must be; what is too young where nobody else is seen to write has become old enough."""
    if DVC.resolve() in folder.resolve().parents:
        return 0.0
    if any(_may_write(root, folder) for root in dvc_elsewhere()) or REMOTE.fullmatch(_file_system(folder)):
        return UNSEEN_AGE_S
    time.sleep(WRITTEN_S)
    return WRITTEN_S


def _may_write(root: Path | None, folder: Path) -> bool:
    """Whether a DVC that runs in `root` may be writing into this run cache. In doubt it may."""
    try:
        return root is None or not (root / DVC).is_dir() or (cache(root) / "runs").resolve() == folder.resolve()
    except (OSError, UnicodeDecodeError):
        return True


def _file_system(path: Path) -> str:
    """The type of the file system that a path is on, as `/proc/self/mountinfo` has it; empty: it cannot be read."""
    device = path.stat().st_dev
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for mount in mounts:
        before, _, after = mount.partition(" - ")
        if before.split()[2] == f"{os.major(device)}:{os.minor(device)}":
            return after.split()[0]
    return ""


def _leftovers(folder: Path, older_s: float = 0.0) -> Iterator[Path]:
    """What DVC fails at: `.tmp` files, entries without an end, and folders of a stage without any entry."""
    youngest = time.time() - older_s if older_s else None
    for stage in folder.glob("*/*"):
        with suppress(FileNotFoundError, NotADirectoryError):  # a live DVC has just renamed it
            bad = [path for path in stage.iterdir() if _is_unfinished(path)] if any(stage.iterdir()) else [stage]
            yield from (path for path in bad if youngest is None or path.stat().st_mtime < youngest)


def _is_unfinished(path: Path) -> bool:
    if path.suffix == ".tmp":
        return True
    text = path.read_bytes()
    if text.startswith(b"cmd:") and b"\nouts:\n" in text and text.endswith(b"\n"):
        return False  # as DVC writes it; reading YAML takes a hundred times as long
    value = parsed(text.decode(errors="replace"))
    return not (is_entry(value) and value.get("outs"))


def _remove(path: Path) -> bool:
    """Remove an entry, and its folder if it was the last: DVC fails at an empty one."""
    try:
        if path.is_dir():
            path.rmdir()
            return True
        path.unlink()
    except OSError:
        return False  # a cache that may only be read, or another was faster
    with suppress(OSError):
        path.parent.rmdir()
    return True
