"""One stage in a process of its own: `dvc --wait-for-lock repro --single-item STAGE`.

The processes are forked from a server that has imported DVC already (multiprocessing's fork server), which saves each
of them DVC's start; everything else is as if the command had been typed. Each has its own session, writes to its own
log, passes SIGTERM on to its stage and lets DVC end in order, and is ended by the kernel when the flow dies.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import psutil

from core.family import die_with_parent
from ops.repair import register_dvc
from pipelines.dvc import private
from pipelines.flow.outcome import last

GRACE_S = 30.0
"""From SIGTERM to SIGKILL: a training finishes its step and saves its checkpoint meanwhile."""
PRELOAD = ["pipelines.flow.preload"]
ROOT = Path(__file__).resolve().parents[2]
"""Of this code, which programs of it have to find from another folder."""


def context() -> ForkServerContext:
    """The fork server's context; its server starts with the first process."""
    chosen = multiprocessing.get_context("forkserver")
    chosen.set_forkserver_preload(PRELOAD)
    return chosen


def warm() -> None:
    """Start the fork server and wait until it has imported all: the first stage then starts as fast as the others."""
    first = context().Process(target=int, name="warm")
    first.start()
    first.join()
    first.close()


class Here:
    """This machine, as a `place.Place`."""

    def start(self, name: str, log: Path, environment: Mapping[str, str], *, force: bool, pull: bool) -> StageProcess:
        return StageProcess(single(name, force=force, pull=pull), log, environment)


HERE = Here()


def single(name: str, *, force: bool, pull: bool) -> list[str]:
    """DVC's arguments for one stage; see `place.Place.start`."""
    options = [word for word, chosen in (("--force", force), ("--pull", pull)) if chosen]
    return ["--wait-for-lock", "repro", "--single-item", *options, name]


def commands_within(around: tuple[str, ...], arguments: list[str]) -> int:
    """DVC, in the stage's process, which starts commands as arguments of the program `around`."""
    private.start_commands_by(partial(_within, around))
    return private.main(arguments)


def _within(around: Sequence[str], command: Sequence[str], **how: Any) -> subprocess.Popen[Any]:
    return subprocess.Popen([*around, *command], **how)


Main = Callable[[list[str]], int]
"""Takes arguments, the stage's name as the last, and returns an exit code."""


class StageProcess:
    """A running stage, as a `place.Running`: `dvc ARGUMENTS`, or another `main` that runs DVC for the stage."""

    def __init__(
        self,
        arguments: list[str],
        log: Path,
        environment: Mapping[str, str],
        *,
        main: Main = private.main,
        folder: Path = Path(),
    ):
        """arguments: the stage's name is the last; main: a function of a module; folder: where it works."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self.name, self.log = arguments[-1], log
        self._began = time.monotonic()
        self._asked: float | None = None
        work = (main, arguments, str(log.resolve()), dict(environment), os.getpid(), str(folder.resolve()))
        self._process: ForkServerProcess = context().Process(target=_run, args=work, name=self.name)
        self._process.start()

    @property
    def began(self) -> float:
        """`time.monotonic()`."""
        return self._began

    @property
    def sentinel(self) -> int:
        """Becomes ready when the process has ended, see `multiprocessing.connection.wait`."""
        return self._process.sentinel

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def stop(self) -> None:
        """Ask it to end: its stage saves what it has, DVC releases its locks. To be called again until it has ended.

        What did not end within `GRACE_S` is killed, with all that it started.
        """
        if self.code is not None:
            return
        self._asked = self._asked or time.monotonic()
        if time.monotonic() - self._asked < GRACE_S:
            self._signal(signal.SIGTERM)  # again: the first may have come between two steps of DVC's
            return
        for process in _family(self.pid):
            _send(process, signal.SIGKILL)
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        self._process.join()
        self._process.close()

    def _signal(self, signum: int) -> None:
        try:
            os.kill(self.pid, signum)
        except ProcessLookupError:
            return


def _run(main: Main, arguments: list[str], log: str, environment: dict[str, str], flow: int, folder: str) -> None:
    """In the forked process: become `dvc ARGUMENTS`."""
    os.chdir(folder)
    os.setsid()  # Ctrl-C in the terminal is the flow's to handle
    die_with_parent(signal.SIGTERM)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["dvc", *arguments]  # what it writes into its locks
    register_dvc()
    private.silence_git_hints()  # which come after every single stage
    signal.signal(signal.SIGTERM, _Stopping(Path(log), arguments[-1]))
    threading.Thread(target=_end_with, args=(flow,), daemon=True).start()
    sys.exit(main(arguments))


def _end_with(flow: int) -> None:
    """In a thread of the forked process: end in order when the flow dies.

    The kernel tells only of the fork server's death, and that one lives as long as a process that it made.
    """
    try:
        watched = os.pidfd_open(flow)
        select.select([watched], [], [])
    except ProcessLookupError:
        pass  # it is dead already
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGTERM)  # to another thread it would not interrupt the wait for the stage
    time.sleep(GRACE_S)
    for process in _family(os.getpid()):
        _send(process, signal.SIGKILL)


class _Stopping:
    """Handler of SIGTERM in DVC's process: it goes on to the stage, and DVC ends as after any failed stage.

    Before the stage DVC is interrupted. After it nothing is done: the finished work is being committed.
    """

    def __init__(self, log: Path, name: str):
        self._log, self._name = log, name
        self._told: set[int] = set()

    def __call__(self, signum: int, frame: Any) -> None:
        running = _family(os.getpid())
        for process in running:
            if process.pid not in self._told:  # a second one would cut short how a stage ends
                self._told.add(process.pid)
                _send(process, signal.SIGTERM)
        if not running and not _began(last(self._log), self._name):
            raise KeyboardInterrupt


def _began(text: str, name: str) -> bool:
    return f"Running stage '{name}'" in text or f"Stage '{name}' is cached" in text


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _send(process: psutil.Process, signum: int) -> None:
    try:
        process.send_signal(signum)
    except psutil.Error:
        return
