"""The workers of one server: started, replaced when they die, told of signals, each on its own cores."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from prometheus_client.multiprocess import mark_process_dead

from core.family import die_with_parent
from serving import cores, logs
from serving.board import Board
from serving.settings import METRICS, RESTARTS, Settings

FIRST_S, LONGEST_S = 0.1, 10.0
"""Pause before a restart; doubled while workers die young."""
YOUNG_S = 30.0
KILL_S = 5.0
"""How much longer than its drain a worker may take to end."""
LOOK_S = 0.2
"""How often a crew that is told to end looks whether it has."""
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "1048576"}
"""For a worker's libc: blocks from a megabyte on go back to the system when they are freed (by itself it raises that
to 32 MB, and keeps what images were decoded to: 780 MB after one of 50 million pixels, 370 MB with this)."""
BLOCKED = {signal.SIGHUP, signal.SIGINT}
"""For a worker when it starts: it would die of SIGHUP until it knows it, and unblocks it then; SIGINT, which a keyboard
sends to all, is left to the supervisor."""


@dataclass
class Member:
    """One worker after another, of the same number."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    due: float = 0.0
    """When the next one may start."""
    pause: float = FIRST_S
    restarts: int = 0

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def died(self, code: int) -> None:
        self.process, self.restarts = None, self.restarts + 1
        young = time.monotonic() - self.began <= YOUNG_S
        self.pause = min(LONGEST_S, self.pause * 2) if young else FIRST_S
        self.due = time.monotonic() + self.pause
        told = {"exit_code": code, "pause_s": self.pause, "restarts": self.restarts}
        logs.event("worker died; starting another", 40, **told, **({"worker": self.number} if self.number else {}))


class Crew:
    """arguments: of the command line that each worker gets; listening: the socket that they share; metrics: folder for
    the figures of several workers."""

    def __init__(self, settings: Settings, arguments: list[str], listening: socket.socket, metrics: str | None):
        self._settings, self._listening, self._metrics = settings, listening, metrics
        self._stopping = 0.0
        count = settings.way.workers
        self._board = Board.create(count) if count > 1 else None
        self._shares = cores.shares(count) if count > 1 and settings.pin else []
        self._arguments = [*arguments, *_resolved(settings)]
        self._members = [Member(number) for number in range(count)]

    def run(self) -> None:
        """Until `stop`, and then until all have ended."""
        while not self._stopping or any(member.runs for member in self._members):
            for member in self._members:
                self._look_after(member)
            if self._stopping:
                self._listening.close()  # the workers have it still, and close it when they take no more
                self._end()
            self._wait()

    def stop(self) -> None:
        if not self._stopping:
            self._stopping = time.monotonic()
        self.tell(signal.SIGTERM)

    def tell(self, number: int) -> None:
        for member in self._members:
            if member.process is not None and member.runs:
                member.process.send_signal(number)

    def _look_after(self, member: Member) -> None:
        if member.process is None:
            if not self._stopping and time.monotonic() >= member.due:
                member.process, member.began = self._start(member), time.monotonic()
                if self._stopping:  # since a moment ago, when there was no worker to tell
                    self.tell(signal.SIGTERM)
        elif (code := member.process.poll()) is not None and not self._stopping:
            if self._board is not None:
                self._board.clear(member.number)
                mark_process_dead(member.number, self._metrics)
            member.died(code)

    def _end(self) -> None:
        allowed = self._settings.drain_delay_s + self._settings.drain_s + KILL_S
        if time.monotonic() - self._stopping > allowed:
            self.tell(signal.SIGKILL)

    def _wait(self) -> None:
        """Until a worker ends, one is due, or a signal comes."""
        poll = select.poll()
        opened = []
        for member in self._members:
            if member.process is not None:
                with suppress(ProcessLookupError):
                    opened.append(os.pidfd_open(member.process.pid))
        try:
            for fd in opened:
                poll.register(fd, select.POLLIN)
            pauses = [member.due - time.monotonic() for member in self._members if member.process is None]
            poll.poll(max(0.0, min([LOOK_S, *pauses])) * 1000)
        finally:
            for fd in opened:
                os.close(fd)

    def _start(self, member: Member) -> subprocess.Popen[bytes]:
        descriptors = [self._listening.fileno()]
        command = [sys.executable, "-m", "serving", *self._arguments, "--fd", str(descriptors[0])]
        environment = {**MALLOC, **os.environ, RESTARTS: str(member.restarts)}
        if self._board is not None:
            descriptors.append(self._board.fd)
            command += ["--board", str(self._board.fd), "--worker", str(member.number)]
            environment[METRICS] = str(self._metrics)
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
        try:
            return subprocess.Popen(
                command,
                pass_fds=descriptors,
                env=environment,
                preexec_fn=self._first(member.number),  # noqa: PLW1509 - only system calls
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)

    def _first(self, number: int) -> Callable[[], None]:
        """What a worker does before all else."""
        share = self._shares[number] if self._shares else set[int]()

        def first() -> None:
            die_with_parent(signal.SIGTERM)
            if share:
                os.sched_setaffinity(0, share)

        return first


def _resolved(settings: Settings) -> list[str]:
    """What a worker cannot find out itself, since it sees its own cores alone; none for a lone one."""
    way = settings.way
    if way.workers == 1:
        return []
    queue = -(-settings.queue // way.workers)
    chosen = {"workers": way.workers, "instances": way.instances, "threads": way.threads, "queue": queue}
    return [word for name, value in chosen.items() for word in (f"--{name}", str(value))]
