"""Whether `make repro` has nothing to do, told in a fraction of a second: `python -m pipelines.unchanged`.

DVC needs seconds to find that nothing has changed, most of them for imports and hashes. What a run looked at that found
so is remembered by size, times, place on the disk and rights (`Look`): all files that stages depend on or leave, DVC's
own, local sources. As long as all of that is as it was, DVC would find the same. Ended with 0 and the table of results
then; with 1, without a word, when DVC must look.

The time of a file's last change (ctime) is the kernel's, which no program sets: so a file that was written over with as
many bytes and given its old date is seen. A file that was changed within the last tick of that clock might not be; then
nothing is remembered. Nothing is believed of what a run has only just made, since it might have been changed behind
DVC's back meanwhile: the second run after it is the first fast one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR

from core import paths
from core.files import write_json
from pipelines import summary

FILE = paths.STATE / "unchanged.json"
OWN = ("dvc.yaml", "dvc.lock", "params.yaml", "matrix.yaml", ".dvc/config", ".dvc/config.local")
"""Files that say what is to be done; what is to be left out, `.dvcignore` in any folder on the way."""
TICK_NS = 100_000_000
"""Nanoseconds within which a file system may give two changes one time: a few milliseconds, with room."""


def seen(roots: Iterable[str]) -> tuple[str, int]:
    """What is at `roots` and below, as a digest, and the time of the last change of a file there, nanoseconds.

    roots: `~` and variables of the environment in them are filled in. Raises: OSError for what cannot be looked at.
    """
    total, newest = hashlib.sha256(), 0
    ignoring = {str(above / ".dvcignore") for root in roots for above in Path(root).parents}
    for root in sorted({*roots, *OWN, *ignoring}):
        for path, facts in _below(Path(os.path.expandvars(root)).expanduser(), frozenset()):
            newest = max(newest, *facts[-2:]) if len(facts) > 1 else newest
            total.update(os.fsencode(path) + f"\0{facts}".encode())
    return total.hexdigest(), newest


def _below(path: Path, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A file with its facts, or a folder, of which only the rights count, with all in it; nothing is known of what is
    not there. above: the folders on the way, for links in circles."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        yield str(path), ()
        return
    yield from _facts(str(path), stat, above)


def _facts(path: str, stat: os.stat_result, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    place = (stat.st_dev, stat.st_ino)
    if not S_ISDIR(stat.st_mode):
        yield path, (stat.st_mode, *place, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        return
    yield path, (stat.st_mode,)
    if place in above:
        return
    within = above | {place}
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name == "__pycache__":  # Python writes there whenever it is started
                continue
            try:
                yield from _facts(entry.path, entry.stat(), within)
            except FileNotFoundError:  # a link that leads nowhere
                yield entry.path, ()


def roots(lock: str) -> list[str]:
    """Where dependencies and outputs lie, given the text of dvc.lock. Raises: ValueError for names in quotes."""
    found = set(re.findall(r"^    - path: (.*)$", lock, re.MULTILINE))
    if not found or any(name.startswith(("'", '"')) for name in found):
        raise ValueError("dvc.lock has no names, or some in quotes")
    return sorted(found)


class Look:
    """What is there before DVC looks, and whether it still is when DVC has found that nothing is to be done."""

    def __init__(self, sources: Iterable[str]):
        """sources: paths as params.yaml has them."""
        FILE.unlink(missing_ok=True)
        self.roots: list[str] = []
        self.digest = ""
        with suppress(OSError, ValueError):  # there is no dvc.lock yet, or something cannot be read
            self.roots = [*roots(Path("dvc.lock").read_text(encoding="utf-8")), *sources]
            self.digest = seen(self.roots)[0]

    def remember(self, tasks: Iterable[str]) -> bool:
        """Keep it, unless anything was changed: by DVC, which had something to do then, or by others. Returns: whether
        it was kept."""
        with suppress(OSError):
            now = time.time_ns()
            digest, newest = seen(self.roots)
            if self.digest == digest and newest < now - TICK_NS:
                known = {"seen": digest, "roots": self.roots, "tasks": list(tasks), "python": sys.executable}
                write_json(FILE, known)
                return True
        return False


def remembered() -> list[str] | None:
    """The tasks of the pipeline when nothing has changed, else None."""
    try:
        known = json.loads(FILE.read_text(encoding="utf-8"))
        same = known["python"] == sys.executable and seen(known["roots"])[0] == known["seen"]
        return list(known["tasks"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main() -> None:
    if len(sys.argv) > 1 or any(Path(paths.STATE, "spool").glob("*.jsonl")):  # a part; or MLflow waits for something
        sys.exit(1)
    tasks = remembered()
    if tasks is None:
        sys.exit(1)
    print("nothing has changed since DVC found that nothing is to be done (python -m pipelines.repro: look again)")
    summary.show(tasks)


if __name__ == "__main__":
    main()
