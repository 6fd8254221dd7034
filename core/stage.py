"""One stage execution: arguments, params, lock, seed, output written aside, one MLflow run, errors as exit codes.

A stage file ends in `main("train", train)` and is called as `python -m stages.train detection`; stages with a variant
and a precision take them as further arguments: `python -m stages.evaluate detection base int8`.

Exit codes: 0 done, 1 a bug (traceback), 2 something the user can mend (one message), 75 the same again may succeed
(a lost server or worker), 76 memory ran out, 143 SIGTERM.
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core import matrix, parallel, paths
from core import params as params_module
from core.errors import StillhouseError
from core.family import die_with_parent
from core.files import replacing
from core.visible import guard_terminal, visible
from ops import integrity, tracking
from ops.repair.guard import guard

WAIT_FOR_TWIN_S = 3600


@dataclass(frozen=True)
class Context:
    """What a stage function gets."""

    stage: str
    task: str
    variant: str | None
    precision: str | None
    head: params_module.Head
    params: Any
    """The task's own `Params` (`tasks/<task>/params.py`)."""
    out: Path
    """An empty folder to write into; it replaces the stage's output when the function returns."""
    run: tracking.Run

    @property
    def name(self) -> str:
        return instance(self.stage, self.task, self.variant, self.precision)

    @property
    def seed(self) -> int:
        return self.head.seed

    @property
    def threads(self) -> int:
        """As params say, 0: all cores; the flow's share where stages run side by side."""
        share = os.environ.get("STILLHOUSE_THREADS", "")
        most = int(share) if share.isdecimal() and int(share) else len(os.sched_getaffinity(0))
        return min(self.head.threads, most) if self.head.threads and share else self.head.threads or most

    @property
    def learning_threads(self) -> int:
        """As params say, also where the flow's share or the machine has fewer cores: the model depends on it."""
        return self.head.learning_threads


def instance(stage: str, task: str, variant: str | None = None, precision: str | None = None) -> str:
    """The DVC name of a stage instance, e.g. `evaluate@detection-base-int8`."""
    return f"{stage}@" + "-".join(part for part in (task, variant, precision) if part)


def main(stage: str, function: Callable[[Context], None], output: Callable[..., Path]) -> None:
    """Run `function` as stage `stage` with the arguments of the command line, then exit; see `execute`."""
    os.umask(0o022)
    signal.signal(signal.SIGTERM, _terminate)
    die_with_parent(signal.SIGTERM)  # DVC's orphan would go on writing beside its successor
    guard()
    guard_terminal()
    try:
        execute(stage, function, output, sys.argv[1:])
    except StillhouseError as error:
        print(f"error: {visible(str(error))}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f" ({error.filename})" if error.filename else ""
            why = f"the disk is full{where}. Free room and run again, or `dvc checkout` the last output."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and error.filename:
            why = f"no permission for {error.filename} ({error.strerror}). Let this user read and write it, run again."
        else:
            raise
        print(f"error: {visible(why)}", file=sys.stderr, flush=True)
        sys.exit(2)


def execute(
    stage: str, function: Callable[[Context], None], output: Callable[..., Path], arguments: Sequence[str]
) -> None:
    """Run one stage instance in the working directory, a repository root.

    output: of `core.paths`, takes the same arguments as the stage and names the folder that it makes.
    Raises: StillhouseError for what the user can mend.
    """
    if not 1 <= len(arguments) <= 3 or not all(re.fullmatch(r"[a-z][a-z0-9_]{0,31}", word) for word in arguments):
        raise StillhouseError(f"stage {stage} takes TASK [VARIANT [PRECISION]], found {list(arguments)}")
    head, tasks = params_module.load()
    task, variant, precision = (*arguments, None, None)[:3]
    assert task is not None
    if task not in tasks:
        raise StillhouseError(f"{stage}: task {task!r} is not in `tasks` of params.yaml: {head.tasks}")
    name = instance(stage, task, variant, precision)
    if "DVC_STAGE" in os.environ and not matrix.fits(tasks):
        raise StillhouseError(
            f"{matrix.FILE} does not list the stages that params.yaml asks for: run `python -m pipelines.matrix` (or "
            "`make repro`, which does it by itself), then the same command again"
        )
    _seed(head.seed)
    if os.environ.get("LOCAL_RANK", "0") != "0":  # a process that Lightning started beside this stage: it only computes
        with tempfile.TemporaryDirectory(prefix="stillhouse-") as scratch:
            run = tracking.Run(tracking.Nowhere())
            function(Context(stage, task, variant, precision, head, tasks[task], Path(scratch), run))
        return
    if "DVC_STAGE" in os.environ:  # by hand there may be no dvc.lock, or an old one
        integrity.check(name)
    with _alone(name), tracking.start(name, head=head, params=tasks[task]) as run:
        with replacing(output(*arguments)) as folder:
            context = Context(stage, task, variant, precision, head, tasks[task], folder, run)
            parallel.use(context.threads)
            function(context)
        shutil.rmtree(paths.resume(name), ignore_errors=True)  # only now that the output is in its place
        run.outputs(output(*arguments))


def _seed(seed: int) -> None:
    """Seed Python and numpy here; torch is seeded where it is imported (`training/`)."""
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Two executions of one stage would write one output: the second waits for the first."""
    folder = paths.STATE / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{name} is running already; waiting for it", file=sys.stderr, flush=True)
        try:
            lock.acquire(timeout=WAIT_FOR_TWIN_S)
        except Timeout:
            raise StillhouseError(
                f"{name} has been running for {WAIT_FOR_TWIN_S} s in another process; end that one, then run again"
            ) from None
    try:
        yield
    finally:
        lock.release()


def _terminate(signum: int, frame: object) -> None:
    """SIGTERM unwinds the stack, so that locks, temporary folders and the run are closed."""
    sys.exit(128 + signum)
