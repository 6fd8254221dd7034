"""Holds the job of one stage: `python -m pipelines.flow.slurm.supervisor SPEC SHELL -c COMMAND`.

DVC starts it in the place of a stage's command, and takes its exit code for that command's:

    0 to 255    of the command; 137 also of a job that was cancelled or killed by others, or that a time limit ended
    76          memory ran out, as SLURM says
    75          SLURM does not answer when the job is to be submitted; preempted, or its node is lost: then a file
                `lost` tells `place` that it is no fault of the stage
    2           SLURM refuses the job, in its words

What the job says goes into a file of its own, from where it is copied: two machines that append to one file of a shared
file system overwrite each other.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import MEMORY, MISTAKE, TEMPORARY
from core.family import die_with_parent
from pipelines.flow.slots import THREAD_VARIABLES
from pipelines.flow.slurm import commands
from pipelines.flow.slurm.commands import AwayError, State

SCRIPT = Path(__file__).with_name("job.sh")
STOP_S = 20.0
"""From SIGTERM to the job's cancelling, after which SLURM has its own KillWait: done before `process.GRACE_S` is
over."""
TICK_S = 0.2
ASK_S, MOST_S = 1.0, 10.0
"""Between two questions to the controller: it is asked less and less often. Most ends are seen without it, by a
file."""
LATE_S = 20.0
"""For how long a file of a node may be unseen here, or SLURM unaware that a job has ended."""
KILLED, TERMINATED = 128 + signal.SIGKILL, 128 + signal.SIGTERM
LOST = {"PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED", commands.GONE}
LIMIT = "the time limit of the job; `meta: {timeout: 6h}` asks for more"
ENDED = {"TIMEOUT": LIMIT, "DEADLINE": LIMIT, "CANCELLED": "the job was cancelled by others"}
NO_MEMORY = re.compile(rb"^slurmstepd.*(exceeded job memory limit|exceeded memory limit|oom[-_ ]kill)", re.M | re.I)
"""What SLURM writes into a job's output where it watches memory without control groups: the state tells nothing
then."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a job is made of."""

    stage: str
    comment: str
    """Of this attempt alone."""
    folder: str
    """Where job and supervisor leave each other files."""
    options: Sequence[str]
    """Of sbatch, for what the stage needs."""

    def values(self) -> dict[str, Any]:
        return asdict(self)


class Supervisor:
    def __init__(self, spec: Spec, command: Sequence[str], environment: Mapping[str, str] = os.environ):
        self._spec, self._command, self._environment = spec, command, environment
        self._folder = Path(spec.folder)
        self._copied = 0
        self._asked: float | None = None
        self._told = self._waits = ""

    def run(self) -> int:
        """Run the command to its end. Returns: the exit code for DVC."""
        signal.signal(signal.SIGTERM, self._stop)
        die_with_parent(signal.SIGTERM)
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            job = commands.submit(self._words(), self._spec.comment, commands.own(self._environment))
        except commands.RefusedError as error:
            return _say(MISTAKE, f"SLURM refuses the job: {error}")
        except AwayError as error:
            return _say(TEMPORARY, f"SLURM does not answer: {error}")
        print(f"job {job}", flush=True)
        over = False
        try:
            code, state = self._followed(job)
            over = state is not None
        finally:
            if not over:
                with suppress(AwayError):
                    commands.cancel(job)
        return 0 if code == 0 else self._judged(code, state or State("RUNNING"))

    def _words(self) -> list[str]:
        """Of sbatch: what `submit` does not say itself."""
        return [
            f"--job-name={self._spec.stage}",
            f"--chdir={Path.cwd()}",
            f"--output={str(self._folder / 'log').replace('%', '%%')}",
            "--no-requeue",  # whether and how it is tried again is the flow's to say, which DVC's rules are known to
            "--export=ALL",
            *self._spec.options,
            str(SCRIPT),
            str(self._folder),
            " ".join(THREAD_VARIABLES),
            *self._command,
        ]

    def _stop(self, signum: int, frame: Any) -> None:
        self._asked = self._asked or time.monotonic()

    def _followed(self, job: str) -> tuple[int | None, State | None]:
        """Until it has ended. Returns: the command's exit code, where there is one, and how SLURM says that the job
        ended; of a success None, and of one of which it does not say so in time."""
        wait, due, ended = ASK_S, 0.0, 0.0
        while True:
            self._copy()
            code = self._code()
            if code == 0:
                self._copy()
                return code, State("COMPLETED")
            if self._asked is not None:
                self._pass_on(job)
            if code is not None:
                ended = ended or time.monotonic()
                wait = ASK_S
                if time.monotonic() - ended > LATE_S:
                    return code, None
            if time.monotonic() >= due:
                with suppress(AwayError):  # it comes back; the job goes on meanwhile
                    state = commands.state(job)
                    if state.name in commands.OVER or state.name == commands.GONE:
                        return self._late(state), state
                    self._tell(job, state)
                due = time.monotonic() + wait
                wait = min(MOST_S, wait * 1.5)
            time.sleep(TICK_S)

    def _late(self, state: State) -> int | None:
        """The exit code of a job that has ended: a file of a node may be seen here a little later."""
        deadline = time.monotonic() + (LATE_S if state.name in ("COMPLETED", commands.GONE) else 2.0)
        while (code := self._code()) is None and time.monotonic() < deadline:
            os.listdir(self._folder)  # noqa: PTH208 - which has NFS look anew
            time.sleep(TICK_S)
        self._copy()
        return code

    def _judged(self, code: int | None, state: State) -> int:
        """The exit code for DVC, of a job that did not end well."""
        name = state.name
        if self._asked is not None:
            return code or TERMINATED
        if name in LOST:
            (self._folder / "lost").touch()
            return _say(TEMPORARY, f"SLURM says {name}: no fault of the stage")
        if name == "OUT_OF_MEMORY" or NO_MEMORY.search(self._end_of_log()):
            return _say(MEMORY, "out of memory in the job: more of it stands in the stage's `needs`, {memory: 8GB}")
        if name in ENDED:
            return _say(KILLED, f"SLURM says {name}: {ENDED[name]}")
        return _say(KILLED, f"the job was killed; SLURM says {name} ({state.reason})") if code is None else code

    def _end_of_log(self) -> bytes:
        with suppress(FileNotFoundError), (self._folder / "log").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            return file.read()
        return b""

    def _code(self) -> int | None:
        with suppress(FileNotFoundError, ValueError):
            return int((self._folder / "code").read_text(encoding="ascii"))
        return None

    def _copy(self) -> None:
        """What is new of the job's output to this process's."""
        with suppress(FileNotFoundError), (self._folder / "log").open("rb") as file:
            file.seek(self._copied)
            while new := file.read(1 << 16):
                self._copied += len(new)
                sys.stdout.buffer.write(new)
            sys.stdout.buffer.flush()

    def _tell(self, job: str, state: State) -> None:
        """When something is new: where the job runs, or what it waits for."""
        said = f"job {job} on {state.nodes}" if state.nodes else f"job {job} waits: {state.reason}"
        if said != self._waits:
            self._waits = said
            print(said, flush=True)

    def _pass_on(self, job: str) -> None:
        """SIGTERM to all that runs in the job, as to a stage here; what has not begun, or not ended in time, is
        cancelled."""
        assert self._asked is not None
        late = time.monotonic() - self._asked > STOP_S or not (self._folder / "began").exists()
        step = "cancel" if late else "TERM"
        if step != self._told:
            with suppress(AwayError):
                commands.cancel(job, *(() if late else ("--signal=TERM", "--full")))
                self._told = step


def _say(code: int, why: str) -> int:
    print(f"error: {why}", file=sys.stderr, flush=True)
    return code


def main() -> None:
    spec, *command = sys.argv[1:]
    sys.exit(Supervisor(Spec(**json.loads(spec)), command).run())


if __name__ == "__main__":
    main()
