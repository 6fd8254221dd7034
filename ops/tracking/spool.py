"""The spool: one append-only JSONL file per run below `.stillhouse/spool/`, with copies of the artifacts beside it.

A line is `{"kind": ..., ...}`; the first says what the run is, `end` closes it. The process that writes a spool holds
its lock, so that an abandoned one (killed, or never sent) is told from one in use.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time as clock
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core import paths
from core.errors import StillhouseError

FOLDER = paths.STATE / "spool"


class SpoolFullError(StillhouseError):
    """No room for what waits to be sent."""


class Spool:
    """A run's file. As a context manager it releases its lock at the end."""

    def __init__(self, path: Path, lock: FileLock):
        self.path, self.key = path, path.stem
        self._lock, self._mutex = lock, threading.Lock()

    @classmethod
    def create(cls, name: str, parent: dict[str, str] | None, time: int, shared: bool = False) -> Spool:
        """shared: the courier of the pipeline sends it."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        # Names in the order of time: what is sent late is sent in the order in which it began, whatever the time stamps
        # of a file system, which tell apart no two writes within some milliseconds.
        key = f"{clock.time_ns():016x}{uuid.uuid4().hex[:16]}"
        lock = FileLock(FOLDER / f"{key}.lock")
        lock.acquire()
        spool = cls(FOLDER / f"{key}.jsonl", lock)
        spool.write("run", name=name, key=key, parent=parent, time=time, shared=shared)
        return spool

    @property
    def artifacts(self) -> Path:
        return self.path.with_suffix("")

    @property
    def start(self) -> dict[str, Any] | None:
        """The first event; None when the process was killed while it wrote it."""
        first = next(self.read(0), None)
        return first[0] if first and first[0]["kind"] == "run" else None

    @property
    def name(self) -> str:
        return str((self.start or {}).get("name", self.key))

    @property
    def shared(self) -> bool:
        return bool((self.start or {}).get("shared"))

    def close(self) -> None:
        """End a run whose process was killed, at its last sign of life."""
        if not any(event["kind"] == "end" for event, _ in self.read(0)):
            self.write("end", status="KILLED", time=int(self.path.stat().st_mtime * 1000))

    def write(self, kind: str, **values: Any) -> None:
        """Append one event; `end` is on disk when this returns. Raises: SpoolFullError."""
        line = json.dumps({"kind": kind, **values}, ensure_ascii=False)
        with _room(), self._mutex, self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            if kind == "end":
                file.flush()
                os.fsync(file.fileno())

    def read(self, offset: int) -> Iterator[tuple[dict[str, Any], int]]:
        """Whole events from a byte offset on, each with the offset behind it; a line cut by a kill is left out."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                try:
                    yield json.loads(line), offset
                except ValueError:
                    continue  # a line cut by a kill, to which the next writer appended

    def keep(self, path: Path, folder: str) -> Path:
        """Copy a file or folder to where it waits to be sent; returns the copy. Raises: SpoolFullError."""
        target = self.artifacts / folder / ("" if path.is_dir() and folder else path.name)
        with _room():
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True)
            else:
                shutil.copy2(path, target)
        return target

    def remove(self) -> None:
        """All is sent."""
        shutil.rmtree(self.artifacts, ignore_errors=True)
        self.path.unlink(missing_ok=True)

    def release(self) -> None:
        self._lock.release()
        if not self.path.exists():
            Path(self._lock.lock_file).unlink(missing_ok=True)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


@contextmanager
def _room() -> Iterator[None]:
    """Tell a full disk by its own name: shutil names the file that it read, or hides it in a list."""
    try:
        yield
    except OSError as error:
        full = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT)]
        if not any(words in str(error) for words in full):
            raise
        raise SpoolFullError(
            f"the disk is full at {FOLDER}, where figures and files wait until MLflow has them. Free room and run "
            "again; `python -m ops.tracking` sends what waits there"
        ) from None


def waiting() -> Iterator[tuple[Spool, bool]]:
    """All spools, the first begun first, and whether nobody living holds it: then the caller has locked it.

    In one order: what has just ended must not be sent after what began later, or versions of a model would be numbered
    the other way round.
    """
    for path in sorted(FOLDER.glob("*.jsonl")):
        lock = FileLock(FOLDER / f"{path.stem}.lock")
        spool = Spool(path, lock)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield spool, False
            continue
        if spool.start is not None:
            yield spool, True
        else:  # sent meanwhile, or nothing was logged yet
            spool.remove()
            spool.release()


def abandoned() -> Iterator[Spool]:
    """Spools that no living process holds, the first begun first, each locked by the caller from here on."""
    return (spool for spool, free in waiting() if free)
