"""A process that sends spools while stages work: one beside a stage, or one for all stages of a pipeline execution.

A process and not a thread: importing MLflow takes seconds that a stage would wait for at the interpreter's lock, and
Python 3.11 may fail when two threads parse code at once, as the imports of MLflow and torch do. One for a pipeline,
because stages of a second would wait longer for that import than they work; `STILLHOUSE_COURIER` tells them its process
id.

It reads the spools, which their owners have locked and may still write. The end of its standard input means that
nothing more will be written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from core import paths
from ops.tracking import spool as spools
from ops.tracking.sender import Sender, place, without_password
from ops.tracking.spool import Spool

ROOT = Path(__file__).resolve().parents[2]
START = """
from signal import SIGKILL
from core.family import die_with_parent
die_with_parent(SIGKILL)
from ops.tracking.courier import main
main()
"""
"""Not `-m`: Python warns of a module that its own package has imported already. First of all it is made to die with its
owner."""
ENVIRONMENT = "STILLHOUSE_COURIER"
OUTSIDE = "outside"
"""In the place of the process id: of a container, whose processes have numbers of their own. What that courier does not
send any more, the pipeline does at its end."""
SHARED = "--shared"
POLL_S = 0.5
PAUSES_S = (1, 2, 4, 8, 15)
LAST_TRIES = 3
"""Failures in a row after which an owner that has finished waits no longer: pauses of 1 + 2 seconds."""
TOLD = 2
"""Failures in a row after which a pipeline's courier warns."""
SILENCE_S = 5.0
"""How long a measurement waits for what is being sent. A server that hangs takes longer, but no time of a core."""


class Courier:
    """The owner's side: starts the process and takes its report. Without spools of its own it serves a pipeline."""

    def __init__(self, owned: Sequence[Spool] = ()):
        self.problem = ""
        """The last error, empty when all went well."""
        self._owned = list(owned)
        names = [str(spool.path) for spool in owned] or [SHARED]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
            start_new_session=True,  # Ctrl-C is for the stage; it tells what the run's end is
        )
        self.pid = self._process.pid

    def finish(self, wait: float) -> list[Spool]:
        """Nothing more will be written: wait at most `wait` seconds until all is sent, then release the spools.

        Returns: those of its own that were not sent whole; they stay on disk.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None
        try:
            output, _ = self._process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
            self.problem = f"no answer within {wait:g} s"
        sent = set()
        for report in map(json.loads, output.splitlines()):
            sent |= {report["sent"]} if "sent" in report else set()
            self.problem = report.get("problem") or self.problem
        for spool in self._owned:
            if spool.key in sent:
                spool.remove()
            spool.release()
        return [spool for spool in self._owned if spool.key not in sent]


class Elsewhere:
    """In the place of a `Courier`: that of the pipeline sends this spool."""

    problem = ""
    pid = 0

    def __init__(self, spool: Spool):
        self._spool = spool

    def finish(self, wait: float) -> list[Spool]:
        """Does not wait, unless that courier has died meanwhile."""
        if not present():
            return Courier([self._spool]).finish(wait)
        self._spool.release()
        return []


def courier_for(spool: Spool) -> Courier | Elsewhere:
    """Who sends a new spool, see `Spool.create` for its `shared`."""
    return Elsewhere(spool) if spool.shared else Courier([spool])


def present() -> bool:
    """Whether a courier of the pipeline is at work."""
    pid = os.environ.get(ENVIRONMENT, "")
    return pid == OUTSIDE or (pid.isdigit() and psutil.pid_exists(int(pid)))


@contextmanager
def silence(wait: float = SILENCE_S) -> Iterator[None]:
    """Nothing is sent meanwhile. The lock is the kernel's, so it ends with the process that holds it."""
    lock = _quiet()
    with suppress(Timeout):
        lock.acquire(timeout=wait)
    try:
        yield
    finally:
        lock.release()


def _quiet() -> FileLock:
    folder = paths.STATE / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "quiet.lock")


class _Process:
    """The process's side."""

    def __init__(self, owned: Sequence[Path]):
        self.owned = [Spool(path, FileLock(path.with_suffix(".lock"))) for path in owned]
        self.shared = not self.owned
        self.sender: Sender | None = None
        self.problem = ""
        self.sent: set[str] = set()
        self.finishing = threading.Event()
        self.report = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)  # what libraries print is no report
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        sys.stdin.read()
        self.finishing.set()

    def run(self) -> None:
        failures, last_tries = 0, LAST_TRIES
        while True:
            finishing = self.finishing.is_set()
            self.problem = ""
            self._round(finishing)
            if not self.problem:
                failures = 0
                if finishing or (self.owned and {spool.key for spool in self.owned} <= self.sent):
                    break
                self.finishing.wait(POLL_S)
                continue
            failures += 1
            if self.shared and failures == TOLD:
                print(
                    f"warning: {place()} does not take everything ({self.problem}); it is tried again, nothing is lost",
                    file=sys.stderr,
                )
            if not finishing:
                self.finishing.wait(PAUSES_S[min(failures, len(PAUSES_S)) - 1])
                continue
            last_tries -= 1
            if not last_tries:
                break
            threading.Event().wait(PAUSES_S[LAST_TRIES - last_tries - 1])
        self.report.write(json.dumps({"problem": self.problem}) + "\n")

    def _round(self, finishing: bool) -> None:
        """Send what there is to send; the last error is `problem`."""
        for spool in self.owned:
            if spool.key not in self.sent and self._send(spool):
                self.report.write(json.dumps({"sent": spool.key}) + "\n")
            if self.sender is None:
                return  # nobody answers: the others need not try
        if not self.shared and (finishing or self.problem):
            return  # what others left can wait
        for spool, free in spools.waiting():
            if free:
                with spool:
                    spool.close()
                    if self._send(spool):
                        spool.remove()
                if self.sender is None or (not self.shared and self.finishing.is_set()):
                    return
            elif self.shared and spool.shared:
                self._send(spool)

    def _send(self, spool: Spool) -> bool:
        """Returns: whether the run's end has been sent, now or before."""
        try:
            with _quiet():
                self.sender = self.sender or Sender()
                if self.sender.send(spool):
                    self.sent.add(spool.key)
            return spool.key in self.sent
        except Exception as error:  # whatever the server or the network does
            self.problem = without_password(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")[:200]
            return False


def main() -> None:
    _Process([Path(name) for name in sys.argv[1:] if name != SHARED]).run()
