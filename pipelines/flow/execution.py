"""One execution of the pipeline: what happens before, beside and after the scheduler's run."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from core import params, paths
from ops import tracking
from pipelines import matrix, sources
from pipelines.flow import plan as plan_module
from pipelines.flow.containers.choice import Choice, refuse_here
from pipelines.flow.hosts.joined import joined
from pipelines.flow.place import Place, Shares
from pipelines.flow.plan import Plan
from pipelines.flow.process import HERE
from pipelines.flow.scheduler import Scheduler
from pipelines.flow.slots import Slots, visible_gpus
from pipelines.flow.slurm import place as slurm
from pipelines.repro import QUIET, ready

LOGS = paths.STATE / "flow"
KEPT_LOGS = 20


@dataclass(frozen=True, kw_only=True)
class Options:
    """As on the command line of `python -m pipelines.flow`."""

    targets: tuple[str, ...] = ()
    jobs: int = 0
    """Stages at once; 0: one per core."""
    gpus: int | None = None
    """How many to use; None: all that there are."""
    force: bool = False
    downstream: bool = False
    pull: bool = False
    """Fetch from the DVC remote what was made elsewhere, as `dvc repro --pull`."""
    pool: str = ""
    """Of hosts that the stages are spread over (`pipelines.flow.hosts`); empty: they run here."""
    bare: bool = False
    """Any DVC repository: without what belongs to Stillhouse (params.yaml, tracking)."""
    containers: Choice | None = None
    """None: stages run here."""
    slurm: bool = False
    """Stages are jobs of the cluster that this is a login node of (`pipelines.flow.slurm`)."""


@dataclass
class Execution:
    """A scheduler and what is around it."""

    scheduler: Scheduler
    key: str
    """Of the pipeline execution, as MLflow's parent run has it."""
    tasks: tuple[str, ...] = ()
    over: threading.Event = field(default_factory=threading.Event)
    complete: bool = False
    flow_run: str = ""
    """Prefect's id of the flow run that follows, once it is known."""

    def run(self) -> bool:
        """Run to the end. Returns: whether every step is done."""
        try:
            self.complete = self.scheduler.run()
        finally:
            self.over.set()
        return self.complete

    def named(self, flow_run: str) -> None:
        """Tell MLflow's parent run which Prefect flow run it belongs to."""
        self.flow_run = flow_run
        tracking.describe_pipeline(self.key, {"prefect.flow_run_id": flow_run})

    def mlflow_link(self) -> str:
        """Markdown that leads to MLflow's parent run; empty when no stage has logged one."""
        return tracking.pipeline_link(self.key)


def planned(options: Options) -> tuple[Plan, tuple[str, ...]]:
    """Check what can be checked before any work, and ask DVC. Returns: the plan and the tasks.

    Raises: StillhouseError.
    """
    ready()
    tasks: tuple[str, ...] = ()
    if not options.bare:
        head, known = params.load()
        tasks = tuple(head.tasks)
        matrix.refresh(known)
        for told in sources.refresh(known):
            print(told)
    plan = _plan(options)
    if options.containers is None:
        refuse_here(plan)
    elif options.containers.noted(plan, _gpus(options)):
        plan = _plan(options)
    return plan, tasks


def _plan(options: Options) -> Plan:
    return plan_module.make(options.targets, force=options.force, downstream=options.downstream)


@contextmanager
def opened(options: Options, plan: Plan | None = None, tasks: tuple[str, ...] = ()) -> Iterator[Execution]:
    """An execution, ready to run; two in one repository wait for each other.

    plan, tasks: as `planned` gave them, to plan anew is left out.
    """
    with ExitStack() as stack:
        if plan is None:
            stack.enter_context(alone())
            plan, tasks = planned(options)
        key = uuid.uuid4().hex
        if not options.bare:
            stack.enter_context(tracking.sending())
        place: Place = HERE
        shares: Shares | None = None
        if options.pool and plan.reasons():
            place = stack.enter_context(joined(options.pool, plan, options.jobs))
            shares = place.hosts
        elif options.slurm and plan.reasons():
            place = stack.enter_context(slurm.opened(plan, key, options.jobs, options.gpus))
            shares = place.queue
        elif options.containers is not None:
            known = {} if options.bare else params.load()[1]
            place = stack.enter_context(options.containers.place(plan, key, _gpus(options), known))
        yield Execution(_scheduler(options, plan, key, place, shares), key, tasks)


@contextmanager
def alone() -> Iterator[None]:
    """One flow at a time in a repository: a second one waits, then finds the work done."""
    folder = paths.STATE / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "flow.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("another flow is running in this repository; waiting for it", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _gpus(options: Options) -> tuple[str, ...]:
    """Those to give out."""
    gpus = visible_gpus()
    return gpus if options.gpus is None else gpus[: options.gpus]


def _scheduler(options: Options, plan: Plan, key: str, place: Place, shares: Shares | None) -> Scheduler:
    """place: where the stages run; shares: the room there, None: this machine's."""
    slots = Slots(options.jobs or len(os.sched_getaffinity(0)), _gpus(options))
    here = str(Path(sys.executable).parent)
    named = {"STILLHOUSE_PIPELINE_NAME": "flow"}  # but where a search has named it
    environment = {**QUIET, **named, **os.environ, "STILLHOUSE_PIPELINE_RUN": key}
    environment["PATH"] = here + os.pathsep + os.environ.get("PATH", "")
    _forget_old_logs()
    pull = options.pull and not options.pool  # hosts fetch what they need
    return Scheduler(plan, shares or slots, environment, LOGS / key[:12], pull=pull, place=place)


def _forget_old_logs() -> None:
    folders = sorted((f for f in LOGS.glob("*") if f.is_dir()), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-KEPT_LOGS]:
        shutil.rmtree(folder, ignore_errors=True)
