"""A small process that waits for the end of a `dvc repro` and mends what it left: also of one that was killed.

Nothing of ours runs before a plain `dvc repro` reads dvc.lock, so a stage starts it while all is well (`guard`). It is
in a session of its own, so it outlives DVC, its process group and its terminal. While it waits it is this file and some
built-in modules, three megabytes; then it becomes `python -m ops.repair`.
"""

from __future__ import annotations

import os
import select
import sys
import time

POLL_S = 0.2


def guard() -> None:
    """Keep a copy of dvc.lock, and watch over the DVC that runs this stage, if one does. Never fails."""
    from contextlib import suppress

    from ops import repair

    with suppress(Exception):  # a full disk, a system without pidfd or /proc: the stage can do without
        repair.keep()
        _watch()


def _watch() -> None:
    """Start the process, unless one watches that DVC already: the lock is that process's for as long as it lives."""
    import fcntl

    from ops import repair
    from ops.repair import places

    pid = repair.dvc_above()
    if pid is None or not places.TEMPORARY.is_dir():
        return
    start = repair.started(pid)
    places.PROCESSES.mkdir(parents=True, exist_ok=True)
    lock = os.open(places.PROCESSES / f"{pid}-{start}.guard", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _start(pid, start, lock)
    except BlockingIOError:
        return
    finally:
        os.close(lock)


def _start(pid: int, start: int | None, lock: int) -> None:
    """Start it by a shell that ends at once: it is no child of the stage, which may count or wait for its children."""
    import subprocess
    from pathlib import Path

    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    subprocess.run(
        ["/bin/sh", "-c", '"$@" &', "sh", sys.executable, "-I", "-S", __file__, str(pid), str(start)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # no pipe or terminal of the stage: who reads to its end would wait for DVC's
        stderr=subprocess.DEVNULL,
        pass_fds=(lock,),
        start_new_session=True,
        check=True,
    )


def _wait(pid: int, start: str) -> None:
    """Return when the process has ended, or has ended already."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # an old kernel, or a sandbox that does not let it
        while _is_running(pid, start):
            time.sleep(POLL_S)
        return
    if _is_running(pid, start):
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        poll.poll()


def _is_running(pid: int, start: str) -> bool:
    """As `ops.repair.started`, without its imports."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:  # noqa: PTH123  # pathlib is a third of all memory here
            stat = file.read().rpartition(")")[2].split()
    except OSError:
        return False
    return stat[19] == start and stat[0] not in "ZX"


if __name__ == "__main__":
    _wait(int(sys.argv[1]), sys.argv[2])
    os.execv(sys.executable, [sys.executable, "-m", "ops.repair"])  # noqa: S606
