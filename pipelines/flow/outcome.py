"""How a stage's DVC process ended, read from its exit code and its log, and whether a retry can cure it."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from core.errors import MEMORY, TEMPORARY
from pipelines.flow.place import LOST

TAIL_BYTES = 64_000
SHOWN_LINES = 12


NOT_BEGUN = (
    r"^ERROR: .*(is busy, it is being blocked by|Unable to acquire lock|RWLock-file)"
    r"|dvc\.lock' (is invalid|validation failed)|'dvc\.lock'.*(corrupted|not valid)"
)
"""What DVC says when it could not begin, and its reason is no fault of the stage."""


class Result(Enum):
    RAN = "ran"
    RESTORED = "restored"
    """From DVC's run cache."""
    UNCHANGED = "unchanged"
    FAILED = "failed"


class Cause(Enum):
    """Why a stage failed."""

    MISTAKE = "mistake"
    """Bad data, bad params, a bug: the same again would fail again."""
    KILLED = "killed"
    """By a signal that was not ours: the kernel's out-of-memory killer, a lost machine."""
    MEMORY = "out of memory"
    TEMPORARY = "temporary"
    """A server that did not answer, a worker that died: the stage says so by its exit code."""
    BUSY = "busy"
    """The stage never started: another DVC process held its files, or one that was killed left DVC's own damaged."""
    LOST = "host lost"
    """The host that ran it is gone, or refused it: another one may do it (`pipelines.flow.hosts`)."""
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    """By us, on request."""


CURABLE = {Cause.KILLED, Cause.MEMORY, Cause.TEMPORARY}
BLAMELESS = {Cause.BUSY: 300, Cause.LOST: 10}
"""No fault of the stage: tried again so often, whatever it says of retries."""


@dataclass(frozen=True)
class Outcome:
    result: Result
    cause: Cause | None = None
    code: int = 0
    """Exit code of the stage's command; negative: the signal that ended it."""
    tail: tuple[str, ...] = ()
    """The log's last lines, of a failure."""

    @property
    def ok(self) -> bool:
        return self.result is not Result.FAILED


def judge(name: str, code: int, log: Path, *, stopped: bool = False, expired: bool = False) -> Outcome:
    """What became of stage `name`.

    code: exit code of its DVC process, negative for a signal; stopped, expired: whether we ended it, and why.
    """
    text = last(log)
    if code == 0:
        if f"Running stage '{name}'" in text:
            return Outcome(Result.RAN)
        cached = f"Stage '{name}' is cached" in text
        return Outcome(Result.RESTORED if cached else Result.UNCHANGED)
    inner = _inner(text, code)
    if stopped or expired:
        cause = Cause.TIMEOUT if expired else Cause.STOPPED
    elif code == LOST:
        cause = Cause.LOST
    elif inner == MEMORY:
        cause = Cause.MEMORY
    elif inner == TEMPORARY:
        cause = Cause.TEMPORARY
    elif inner < 0 or inner - 128 in (signal.SIGKILL, signal.SIGTERM):  # a shell reports a signal as 128 + number
        cause = Cause.KILLED
    elif f"Running stage '{name}'" not in text and re.search(NOT_BEGUN, text, re.M):
        cause = Cause.BUSY
    else:
        cause = Cause.MISTAKE
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("> ")]
    return Outcome(Result.FAILED, cause, inner, tuple(lines[-SHOWN_LINES:]))


def last(log: Path, size: int = TAIL_BYTES) -> str:
    """The end of a log as text; of what a progress bar overwrites only the last state."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - size))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))


def _inner(text: str, code: int) -> int:
    """The exit code of the stage's own command, where DVC names it."""
    found = re.findall(r"failed to run: .*, exited with (-?\d+)", text)
    return int(found[-1]) if found and code > 0 else code
