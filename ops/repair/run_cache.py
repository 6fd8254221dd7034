"""`.dvc/cache/runs`: a kill leaves `.tmp` files and empty folders there, at which the stage then fails for ever."""

from __future__ import annotations

import configparser
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ops.repair.entries import is_entry, parsed
from ops.repair.locks import held
from ops.repair.places import DVC

FOREIGN_AGE_S = 60
"""In a cache outside of `.dvc` other repositories write under other locks: what is younger may be theirs."""


def mend() -> list[str]:
    folder = cache() / "runs"
    if next(_leftovers(folder), None) is None:
        return []
    with held("lock") as mine:
        removed = [path for path in list(_leftovers(folder)) if _remove(path)] if mine else []
    if not removed:
        return []
    return [f"the run cache held {len(removed)} entries that DVC had not finished (such as {removed[0]}): removed"]


def cache() -> Path:
    """`.dvc/cache`, or where the repository's configuration puts the cache."""
    files = [path for path in (DVC / "config", DVC / "config.local") if path.exists()]
    if not any("[cache]" in path.read_text(encoding="utf-8") for path in files):
        return DVC / "cache"
    config = configparser.ConfigParser(interpolation=None, strict=False)
    with suppress(configparser.Error):  # DVC's own reader takes more, and will tell
        config.read(files, encoding="utf-8")
    return DVC / config.get("cache", "dir", fallback="cache").strip("'\"")  # relative to the file


def _leftovers(folder: Path) -> Iterator[Path]:
    """What DVC fails at: `.tmp` files, entries without an end, and folders of a stage without any entry."""
    youngest = time.time() - FOREIGN_AGE_S if DVC.resolve() not in folder.resolve().parents else None
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
