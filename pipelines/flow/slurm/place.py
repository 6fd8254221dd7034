"""A SLURM cluster as a place where stages run.

A stage is what it is elsewhere, `dvc repro --single-item STAGE` in a process here; its command alone is a job. So DVC
has one machine's process ids and locks, what its cache restores costs no job, and nothing but the stages themselves
depends on when the nodes see each other's files.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from core import paths
from core.errors import StillhouseError
from ops.tracking.courier import ENVIRONMENT, OUTSIDE
from pipelines.flow.needs import Needs, Room
from pipelines.flow.place import LOST
from pipelines.flow.plan import Plan
from pipelines.flow.process import ROOT, StageProcess, commands_within, single
from pipelines.flow.slots import Share
from pipelines.flow.slurm import commands
from pipelines.flow.slurm.supervisor import Spec

SUPERVISOR = (sys.executable, "-m", "pipelines.flow.slurm.supervisor")
FILES = paths.STATE / "slurm"
JOBS = 32
"""Stages at once, where `--jobs` says nothing: each has a DVC process on this node."""
LEFT_S = 120.0
"""For how long a job of an earlier flow may take to end: SLURM's KillWait, and a node's epilogue."""


class Queue:
    """Room for stages, as `place.Shares`: SLURM has a queue of its own, so all that is counted here is stages."""

    gpus: tuple[str, ...] = ()
    """SLURM gives them out, and says so to each job."""

    def __init__(self, jobs: int):
        self.jobs = jobs
        self._taken: set[str] = set()

    def take(self, name: str, room: Room, rivals: int) -> Share | None:
        if len(self._taken) >= self.jobs:
            return None
        self._taken.add(name)
        whole = room.cores == "all"
        threads = room.cores if isinstance(room.cores, int) else int(not whole)  # 0: what the node has
        return Share(threads, (), room.memory, whole, room.share_gpu, room.cores is not None)

    def give_back(self, name: str) -> None:
        self._taken.discard(name)


class Jobs:
    """SLURM, as a `place.Place`."""

    def __init__(self, plan: Plan, key: str, jobs: int, gpus: int):
        """key: of the pipeline execution; jobs: stages at once; gpus: the most that a stage is given."""
        self.queue = Queue(jobs)
        self._plan, self._key, self._gpus = plan, key, gpus

    def start(self, name: str, log: Path, environment: Mapping[str, str], *, force: bool, pull: bool) -> StageProcess:
        number = uuid.uuid4().hex
        folder = (FILES / number).absolute()
        spec = Spec(
            stage=name,
            comment=f"{checkout()}:{self._key[:12]}:{number[:12]}:{name}",
            folder=str(folder),
            options=options(self._plan.steps[name].needs, self._gpus),
        )
        more = {
            "PYTHONPATH": ":".join(filter(None, (str(ROOT), environment.get("PYTHONPATH")))),
            **({ENVIRONMENT: OUTSIDE} if environment.get(ENVIRONMENT) else {}),
        }
        mine = {key: value for key, value in environment.items() if key != "CUDA_VISIBLE_DEVICES"}
        around = (*SUPERVISOR, json.dumps(spec.values()))
        return _AsJob(single(name, force=force, pull=pull), log, {**mine, **more}, around, folder, spec.comment)


class _AsJob(StageProcess):
    def __init__(
        self,
        arguments: list[str],
        log: Path,
        environment: Mapping[str, str],
        around: tuple[str, ...],
        folder: Path,
        comment: str,
    ):
        super().__init__(arguments, log, environment, main=partial(commands_within, around))
        self._folder, self._comment = folder, comment
        self._start: float | None = None

    @property
    def began(self) -> float:
        """`time.monotonic()`: that the job waits in SLURM's queue does not count."""
        if self._start is None and (self._folder / "began").exists():
            self._start = time.monotonic()
        return self._start or time.monotonic()

    @property
    def code(self) -> int | None:
        code = super().code
        return LOST if code and (self._folder / "lost").exists() else code

    def close(self) -> None:
        failed = self.code != 0
        super().close()
        if failed:  # also when its supervisor was killed; what cannot be reached now is cancelled before the next flow
            with suppress(commands.AwayError):
                for job in commands.mine(self._comment):
                    commands.cancel(job)
        shutil.rmtree(self._folder, ignore_errors=True)


def options(needs: Needs, gpus: int) -> list[str]:
    """Of sbatch, for what a stage needs. gpus: the most that one is given."""
    room = needs.needs
    found = ["--nodes=1", "--ntasks=1"]
    if room.cores == "all":
        found += ["--exclusive", "--mem=0"] if not room.memory else ["--exclusive"]
    else:
        found.append(f"--cpus-per-task={room.cores or 1}")
    if room.memory:
        found.append(f"--mem={math.ceil(room.memory / 2**20)}M")
    if count := min(room.gpus, gpus):
        found.append(f"--gres=gpu:{count}")
    if room.label:
        found.append(f"--constraint={room.label}")
    if needs.timeout is not None:  # the flow stops it then; a minute later SLURM would
        found.append(f"--time={math.ceil(needs.timeout / 60) + 1}")
    return found


def checkout() -> str:
    """What the jobs of this checkout bear in their comments."""
    return f"stillhouse:{hashlib.sha256(str(Path.cwd()).encode()).hexdigest()[:16]}"


def sweep() -> list[str]:
    """Cancel what an earlier flow in this checkout left, killed before it could, and wait for its end: two jobs would
    write one output. Returns: names of stages. Raises: StillhouseError when a job does not end.

    One flow is at work in a checkout at a time, so nobody else's is among them.
    """
    try:
        left = commands.mine(checkout())
        for job in left:
            commands.cancel(job)
        deadline = time.monotonic() + LEFT_S
        while remaining := commands.mine(checkout()):
            if time.monotonic() > deadline:
                jobs = ", ".join(remaining)
                raise StillhouseError(
                    f"--in slurm: jobs of an earlier flow do not end ({jobs}); see `squeue`, and try again"
                )
            time.sleep(1.0)
    except commands.AwayError as error:
        raise StillhouseError(f"--in slurm: SLURM does not answer: {error}") from None
    shutil.rmtree(FILES, ignore_errors=True)
    return sorted({comment.split(":", 4)[-1] for comment in left.values()})


@contextmanager
def opened(plan: Plan, key: str, jobs: int, gpus: int | None) -> Iterator[Jobs]:
    """For the steps of a plan; jobs that an earlier flow left are cancelled first.

    jobs: at once, 0: JOBS; gpus: the most for one stage, None: what it asks for. A cluster without GPUs gives none,
    as a machine without. Raises: StillhouseError for what no node has.
    """
    features, most = commands.offered()
    for name, step in plan.steps.items():
        label = step.needs.needs.label
        if label and label not in features:
            known = ", ".join(sorted(features)) or "none"
            raise StillhouseError(f"--in slurm: {name} needs label {label!r}, and no node has this feature ({known})")
    if left := sweep():
        print(f"cancelled: jobs that an earlier flow left ({', '.join(left)})")
    yield Jobs(plan, key, jobs or JOBS, most if gpus is None else min(most, gpus))
