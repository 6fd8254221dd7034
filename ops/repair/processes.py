"""Which processes are live DVCs: ids repeat, above all in containers, and children of a fork server bear no name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ops.repair.places import PROCESSES

NAMES = ("dvc", "pipelines.dvc")
"""Last parts of the words by which DVC is started."""


def register_dvc() -> None:
    """This process runs DVC although its command line does not say so, e.g. forked from a server that imported DVC."""
    PROCESSES.mkdir(parents=True, exist_ok=True)
    (PROCESSES / f"{os.getpid()}-{started(os.getpid())}.dvc").touch()


def dvc_above() -> int | None:
    """The process id of the DVC that this process runs under, None if there is none."""
    pid = os.getpid()
    while (stat := _stat(pid)) and (pid := int(stat[1])):
        if _is_registered(pid) or any(Path(word).name in NAMES for word in _words(pid)[:3]):
            return pid
    return None


def dvc_elsewhere() -> Iterator[Path | None]:
    """Working directories of the DVCs of other folders, as far as this machine shows them; None: not to be read."""
    here = Path.cwd()
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()):
        named = any(Path(word).name in NAMES for word in _words(pid)[:3])
        try:
            folder = Path(f"/proc/{pid}/cwd").readlink()
        except OSError:  # another user's, or ended
            if named:
                yield None
            continue
        if folder != here and (named or (folder / PROCESSES / f"{pid}-{started(pid)}.dvc").exists()):
            yield folder


def started(pid: int) -> int | None:
    """When a process started, in the kernel's ticks; None if it has ended.

    With the process id it names a process for good: ids repeat, above all in containers, and clocks are set.
    """
    stat = _stat(pid)
    return int(stat[19]) if stat and stat[0] not in "ZX" else None


def is_alive(pid: int, command: str) -> bool:
    """Whether the DVC that wrote `command`, its own `sys.argv`, into a rwlock still runs. In doubt it does."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    if _stat(pid) is None:
        return True  # and hidden from us
    words = _words(pid)
    if _is_registered(pid) or any(Path(word).name in NAMES for word in words):
        return True
    return " ".join(words).endswith(command.partition(" ")[2] or Path(command).name)  # another program that uses DVC


def _is_registered(pid: int) -> bool:
    return (PROCESSES / f"{pid}-{started(pid)}.dvc").exists()


def forget_processes() -> None:
    """Remove the files of processes that have ended."""
    for path in PROCESSES.glob("*-*.*"):
        pid, _, start = path.stem.partition("-")
        if pid.isdigit() and str(started(int(pid))) != start:
            path.unlink(missing_ok=True)


def _stat(pid: int) -> list[str] | None:
    """State, parent, ... of a process: `man 5 proc_pid_stat` from field 3 on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _words(pid: int) -> list[str]:
    """A process's command line, empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []
