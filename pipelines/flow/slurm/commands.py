"""What is asked of SLURM, by its own commands: sbatch, squeue, sacct, scancel, sinfo. Their options are those of
SLURM 22.05 and later (https://slurm.schedmd.com/archive/slurm-22.05.8/).

There is no library to rather use: pyslurm is bound to one release of SLURM at a time and needs its headers, and SLURM's
REST server is another service, which sites seldom have.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import StillhouseError

PROGRAMS = ("sbatch", "squeue", "scancel", "sinfo")
ANSWER_S = 120.0
"""For how long a command may be at it; a busy controller takes its time."""
AWAY_S = 300.0
"""For how long a controller may be away when a job is to be submitted."""
AWAY = re.compile(
    r"Unable to contact slurm|Socket timed out|Connection (refused|timed out)|slurm_receive_msg|Zero Bytes|"
    r"temporarily (unable|disabled)|Communication connection failure|Resource temporarily unavailable",
    re.IGNORECASE,
)
"""What SLURM's commands say when the controller, and not what was asked, is at fault."""
UNKNOWN = re.compile(r"Invalid job id", re.IGNORECASE)
OVER = {
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "DEADLINE",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "NODE_FAIL",
    "BOOT_FAIL",
    "REVOKED",
}
"""https://slurm.schedmd.com/squeue.html#SECTION_JOB-STATE-CODES"""
GONE = "GONE"
"""In the place of a state: neither controller nor accounting know the job any more."""


class AwayError(Exception):
    """The controller does not answer; what was asked may have been done all the same."""


class RefusedError(Exception):
    """SLURM refuses what was asked, in its own words."""


@dataclass(frozen=True)
class State:
    name: str
    """As SLURM has it, or GONE."""
    reason: str = ""
    nodes: str = ""


def submit(words: Sequence[str], comment: str, environment: Mapping[str, str]) -> str:
    """`sbatch WORDS`. Returns: the job's id.

    comment: of this submission alone: when the controller did not answer, a job that bears it was submitted all the
    same. environment: of the job, see `own`. Raises: RefusedError; AwayError after AWAY_S.
    """
    deadline = time.monotonic() + AWAY_S
    while True:
        try:
            said = _call(["sbatch", "--parsable", f"--comment={comment}", *words], environment)
            return said.strip().split(";")[0]
        except AwayError:
            if time.monotonic() > deadline:
                raise
            time.sleep(2.0)
        try:
            if found := mine(comment):
                return next(iter(found))
        except AwayError:
            continue


def state(job: str) -> State:
    """Of a job, also of one that has ended. Raises: AwayError."""
    try:
        said = _call(["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T|%r|%N"])
    except RefusedError as error:
        if not UNKNOWN.search(str(error)):
            raise AwayError(str(error)) from None
        said = ""
    if line := said.strip():
        name, reason, nodes = (*line.splitlines()[0].split("|"), "", "")[:3]
        return State(name, reason, nodes)
    try:
        said = _call(["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job}", "--format=State"])
    except (RefusedError, FileNotFoundError):  # without accounting, or without its command
        return State(GONE)
    return State(said.split()[0] if said.split() else GONE)  # `CANCELLED by 1000`


def mine(comment: str) -> dict[str, str]:
    """Comments of the caller's jobs that have not ended, by their ids, of those whose comment begins so.

    Raises: AwayError.
    """
    try:
        said = _call(["squeue", "--noheader", f"--user={os.getuid()}", "--format=%i|%k"])
    except RefusedError as error:
        raise AwayError(str(error)) from None
    lines = [line.partition("|") for line in said.splitlines()]
    return {job: its for job, _, its in lines if its.startswith(comment)}


def cancel(job: str, *options: str) -> None:
    """`scancel OPTIONS job`; a job that has ended is none to cancel. Raises: AwayError."""
    try:
        _call(["scancel", "--quiet", *options, job])
    except RefusedError as error:
        if AWAY.search(str(error)):
            raise AwayError(str(error)) from None


def offered() -> tuple[set[str], int]:
    """Features of the cluster's nodes, and the most GPUs that one of them has.

    Raises: StillhouseError when SLURM is not there, or does not answer.
    """
    try:
        said = _call(["sinfo", "--noheader", "--format=%f|%G"])
    except FileNotFoundError as error:
        raise StillhouseError(
            f"--in slurm: {error.filename} is not installed; run it where `sbatch` works, on a login node"
        ) from None
    except (AwayError, RefusedError) as error:
        raise StillhouseError(f"--in slurm: SLURM does not answer: {error}") from None
    features, gpus = set[str](), 0
    for line in said.splitlines():
        its, _, resources = line.partition("|")
        features |= {word for word in its.split(",") if word and word != "(null)"}
        gpus = max([gpus, *(int(count) for count in re.findall(r"\bgpu(?::[^,:()]+)?:(\d+)", resources))])
    return features, gpus


def own(environment: Mapping[str, str]) -> dict[str, str]:
    """A job's environment: without what SLURM says of the job that this runs in, if it does. Settings of the user's for
    SLURM's commands (SBATCH_PARTITION, SBATCH_ACCOUNT, ...; SLURM_CONF) stay."""
    return {key: value for key, value in environment.items() if not key.startswith("SLURM_") or key == "SLURM_CONF"}


def _call(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What a command printed. Raises: AwayError, RefusedError, FileNotFoundError."""
    try:
        done = subprocess.run(
            command,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_S,
        )
    except subprocess.TimeoutExpired:
        raise AwayError(f"{command[0]} did not answer within {ANSWER_S:g} s") from None
    if done.returncode == 0:
        return done.stdout
    words = (
        "; ".join(line.strip() for line in done.stderr.splitlines() if line.strip()) or f"exit code {done.returncode}"
    )
    raise AwayError(words) if AWAY.search(words) else RefusedError(words)
