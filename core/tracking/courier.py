"""A process that sends a stage's spool while the stage works, and what earlier stages left behind.

A process and not a thread: importing MLflow takes seconds that a stage would wait for at the interpreter's lock, and
Python 3.11 may fail when two threads parse code at once, as the imports of MLflow and torch do.

It reads the spools, which their owner has locked and may still write. The end of its standard input means that nothing
more will be written. It prints one line of JSON for each spool.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from core.tracking import spool as spools
from core.tracking.sender import Sender, without_password
from core.tracking.spool import Spool

ROOT = Path(__file__).resolve().parents[2]
START = """
from signal import SIGKILL
from core.family import die_with_parent
die_with_parent(SIGKILL)
from core.tracking.courier import main
main()
"""
"""Not `-m`: Python warns of a module that its own package has imported already. First of all it is made to die with its
owner, also while it is stopped."""
POLL_S = 0.5
PAUSES_S = (1, 2, 4, 8, 15)
LAST_TRIES = 3
"""Failures in a row after which a finished stage waits no longer: pauses of 1 + 2 seconds."""


class Courier:
    """The owner's side: starts the process and takes its report."""

    def __init__(self, owned: Sequence[Spool], leftovers: bool = False):
        self.problem = ""
        """The last error, empty when all went well."""
        self._owned = list(owned)
        command = [sys.executable, "-c", START, *(["--leftovers"] if leftovers else [])]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [*command, *(str(spool.path) for spool in owned)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
            start_new_session=True,  # Ctrl-C is for the stage; it tells what the run's end is
        )
        self.pid = self._process.pid

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the process for a while, so that it takes no time from what is measured."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def finish(self, wait: float) -> list[Spool]:
        """Nothing more will be written: wait at most `wait` seconds until all is sent, then release the spools.

        Returns: those that were not sent whole; they stay on disk.
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
        reports = {report["key"]: report for report in map(json.loads, output.splitlines())}
        unsent = []
        for spool in self._owned:
            report = reports.get(spool.key, {"sent": False, "problem": self.problem})
            if report["sent"]:
                spool.remove()
            else:
                unsent.append(spool)
                self.problem = report["problem"] or self.problem
            spool.release()
        return unsent


class _Process:
    """The process's side."""

    def __init__(self, leftovers: bool) -> None:
        self.leftovers = leftovers
        self.sender: Sender | None = None
        self.finishing = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        sys.stdin.read()
        self.finishing.set()

    def deliver(self, spool: Spool) -> tuple[bool, str]:
        """Send a spool until its end event has been sent. Returns: whether it was, and the last error."""
        failures, last_tries = 0, LAST_TRIES
        while True:
            finishing = self.finishing.is_set()
            try:
                self.sender = self.sender or Sender()
                ended = self.sender.send(spool)
            except Exception as error:  # whatever the server or the network does
                problem = without_password(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")[:200]
                last_tries -= finishing
                if not last_tries:
                    return False, problem
                if finishing:
                    threading.Event().wait(PAUSES_S[LAST_TRIES - last_tries - 1])
                else:
                    self.finishing.wait(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1
                continue
            failures = 0
            if ended or finishing:  # without an end its owner was killed: the next one that looks will close it
                return ended, ""
            self._send_leftovers()
            self.finishing.wait(POLL_S)

    def _send_leftovers(self) -> None:
        """Once, while the stage works: what earlier stages could not send."""
        if not self.leftovers or self.sender is None:
            return
        self.leftovers = False
        for left in spools.abandoned():
            with left:
                if self.finishing.is_set():
                    return
                left.close()
                try:
                    if self.sender.send(left):
                        left.remove()
                except Exception:  # it stays for `replay`, which tells why
                    return


def main() -> None:
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no report
    arguments = sys.argv[1:]
    leftovers = arguments[:1] == ["--leftovers"]
    process = _Process(leftovers)
    for name in arguments[leftovers:]:
        path = Path(name)
        sent, problem = process.deliver(Spool(path, FileLock(path.with_suffix(".lock"))))
        report.write(json.dumps({"key": path.stem, "sent": sent, "problem": problem}) + "\n")
        if problem and process.sender is None:
            return  # nobody answers: the others need not try
