"""The flow as Prefect sees it: one flow run, one task run per stage with its log, states, retries and artifacts.

The scheduler runs the stages; a task run here follows its stage, attempt by attempt, so what Prefect shows is what
happens, and what happens does not depend on Prefect's server. `pipeline` is also what deployments start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger, runtime, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.states import Cancelled, Completed, Failed, State
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from pipelines.deploy import remote, served
from pipelines.flow import artifacts
from pipelines.flow.execution import Execution, Options, opened
from pipelines.flow.outcome import BLAMELESS, Cause, Result
from pipelines.flow.scheduler import OVER, Attempt, Record, Scheduler
from pipelines.flow.scheduler import State as Step

POLL_S = 0.5
CANCEL_POLL_S = 5.0
MOST_LINES = 2000
"""Of one attempt's log that go to Prefect; the file has all."""
MOST_DRAWN = 300
HINTS = {"Use `dvc push` to send your updates to remote storage.", "Updating lock file 'dvc.lock'"}
"""What DVC says after every stage to whoever typed `dvc repro`."""

following: ContextVar[Execution | None] = ContextVar("following", default=None)
"""The execution that `pipeline` is to follow; None: it starts one."""


_THREADS: TaskRunner[Any] = ThreadPoolTaskRunner()


@flow(name="stillhouse", persist_result=False, task_runner=_THREADS, log_prints=False)
def pipeline(
    targets: list[str] | None = None,
    jobs: int = 0,
    gpus: int = -1,
    force: bool = False,
    downstream: bool = False,
) -> State[Any]:
    """Run the DVC pipeline in parallel.

    targets: stages, none: all; jobs: stages at once, 0: one per core; gpus: to use, -1: all there are; force: run also
    what did not change; downstream: the targets and all that depends on them.
    """
    execution = following.get()
    if execution is not None:
        return follow(execution)
    store = remote.named()
    if store:
        remote.pull(store)
    options = Options(
        targets=tuple(targets or ()),
        jobs=jobs,
        gpus=None if gpus < 0 else gpus,
        force=force,
        downstream=downstream,
        pull=store is not None,
    )
    try:
        with opened(options) as execution:
            worker = threading.Thread(target=execution.run, name="scheduler")
            worker.start()
            try:
                return follow(execution)
            finally:
                execution.scheduler.stop("the flow run was ended")  # nothing to stop when all is over
                worker.join()
    finally:
        if store:  # also after a failure: what finished is restored by the next run
            remote.push(store)
        if (folder := served.named()) is not None:  # after the push: what is served can be traced
            for version in served.put(Path("packages"), folder):
                get_run_logger().info("%s: put where the server looks", version)


def follow(execution: Execution) -> State[Any]:
    """Mirror an execution to its end. Returns: the flow run's state."""
    scheduler, log = execution.scheduler, get_run_logger()
    flow_run = str(runtime.flow_run.id)
    execution.named(flow_run)
    log.info("logs of the stages: %s", scheduler.logs)
    _publish_plan(execution)
    futures: dict[str, Any] = {}
    asked = time.monotonic()
    while True:
        over = execution.over.is_set()
        for record in scheduler.records.values():
            if record.name not in futures and (record.started is not None or record.state in OVER):
                futures[record.name] = _task(scheduler, record).submit(record.name)
        if over:
            break
        if time.monotonic() - asked > CANCEL_POLL_S:
            asked = time.monotonic()
            if _cancelled(flow_run):
                scheduler.stop("cancelled in Prefect")
        execution.over.wait(POLL_S)
    for future in futures.values():
        future.wait()
    _publish_results(execution)
    failed = [record.name for record in scheduler.failed]
    if failed:
        return Failed(message=f"failed: {', '.join(failed)}")
    if scheduler.stopped and not execution.complete:
        return Cancelled(message=scheduler.stopped)
    return Completed(message=f"up to date: {len(scheduler.records)} of {len(scheduler.records)} stages")


def _task(scheduler: Scheduler, record: Record) -> Any:
    """A Prefect task that follows one stage; it retries exactly when the scheduler does."""
    retry = scheduler.plan.steps[record.name].needs.retry

    def follows(name: str) -> State[Any]:
        return _follow_stage(scheduler, scheduler.records[name], int(runtime.task_run.run_count))

    def again(_task: Any, run: Any, _state: Any) -> bool:
        return _attempt(record, run.run_count).wait is not None

    return task(
        name=record.name,
        task_run_name=record.name.replace("{", "{{").replace("}", "}}"),
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=retry.times,
        retry_delay_seconds=[retry.wait * 2**number for number in range(retry.times)],
        retry_condition_fn=again,
    )(follows)


def _follow_stage(scheduler: Scheduler, record: Record, number: int) -> State[Any]:
    """Follow attempt `number` (from 1) of a stage; its log goes to Prefect line by line."""
    if record.started is None:
        if record.state is Step.CANCELLED:
            return Cancelled(message=f"not started: {record.blamed}")
        return Completed(name="Unchanged", message="DVC sees nothing to do")
    while len(record.attempts) < number and record.state not in OVER:
        time.sleep(POLL_S)
    if len(record.attempts) < number:
        return Cancelled(message=record.blamed)
    attempt, log, lines = record.attempts[number - 1], get_run_logger(), 0
    log.info("attempt %d, log %s", number, attempt.log)
    reader = _lines(attempt.log)
    while True:
        ended = attempt.outcome is not None or record.state in OVER
        for line in reader:
            if line is None:
                break
            lines += 1
            if lines <= MOST_LINES:
                log.info("%s", line)
        if ended:
            break
        time.sleep(POLL_S)
    if attempt.outcome is not None and attempt.outcome.cause in BLAMELESS and record.state is not Step.FAILED:
        return _follow_stage(scheduler, record, number)  # it does not count; the scheduler tries again
    if lines > MOST_LINES:
        log.info("%d more lines in %s", lines - MOST_LINES, attempt.log)
    return _state(attempt, record)


def _state(attempt: Attempt, record: Record) -> State[Any]:
    outcome = attempt.outcome
    if outcome is None or outcome.cause is Cause.STOPPED:
        return Cancelled(message=f"stopped: {record.blamed}")
    if outcome.ok:
        name = {Result.RAN: "Completed", Result.RESTORED: "Restored", Result.UNCHANGED: "Unchanged"}[outcome.result]
        return Completed(name=name)
    cause = outcome.cause.value if outcome.cause else ""
    return Failed(message=f"{cause}, exit code {outcome.code}, log {attempt.log}\n" + "\n".join(outcome.tail))


def _lines(path: Path) -> Iterator[str | None]:
    """New whole lines of a growing file, without HINTS; of a progress bar the last state; None: no more for now."""
    rest = ""
    while not path.exists():
        yield None
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        while True:
            chunk = file.read(65536)
            if not chunk:
                yield None
                continue
            *whole, rest = (rest + chunk).split("\n")
            for line in whole:
                shown = line.rstrip("\r").rsplit("\r", 1)[-1].rstrip()
                if shown and shown not in HINTS:
                    yield shown


def _attempt(record: Record, number: int) -> Attempt:
    return record.attempts[min(number, len(record.attempts)) - 1]


def _cancelled(flow_run: str) -> bool:
    """Whether somebody cancelled the flow run in the UI; also no when the server does not answer."""
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(flow_run)).state
        return state is not None and (state.is_cancelling() or state.is_cancelled())
    except Exception as error:  # whatever it is: the stages go on
        logging.getLogger(__name__).debug("cannot ask for the flow run: %s", error)
        return False


def settle(execution: Execution, deadline: float) -> None:
    """Wait until the server has written down how every task run ended, and write it where an outage lost it.

    Task runs reach the server as events, which it takes in a moment later. deadline: of `time.monotonic()`.
    """
    EventsWorker.drain_all(timeout=max(1.0, deadline - time.monotonic()))
    APILogWorker.drain_all(timeout=max(1.0, deadline - time.monotonic()))
    flow_run = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(execution.flow_run)]))
    with get_client(sync_client=True) as client:
        while True:
            runs: list[Any] = []
            while page := client.read_task_runs(flow_run_filter=flow_run, limit=200, offset=len(runs)):
                runs += page
            unsettled = [run for run in runs if run.state is None or not run.state.is_final()]
            if len(runs) >= len(execution.scheduler.records) and not unsettled:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        for run in unsettled:
            record = execution.scheduler.records[run.name]
            state = _state(record.attempts[-1], record) if record.attempts else Completed(name="Unchanged")
            client.set_task_run_state(run.id, state, force=True)
    missing = len(execution.scheduler.records) - len(runs)
    if missing > 0:
        raise RuntimeError(f"its server missed {missing} task runs while it could not be reached")


def _publish_plan(execution: Execution) -> None:
    plan = execution.scheduler.plan
    try:
        create_table_artifact(artifacts.plan_rows(plan, execution.scheduler.seconds), key="plan", description="Plan")
        if len(plan.steps) <= MOST_DRAWN:
            # An image artifact would show the whole picture's data as its address.
            picture = f"![the DAG]({artifacts.data_url(artifacts.picture(plan))})"
            create_markdown_artifact(picture, key="dag", description="The DAG; blue is what will run")
    except Exception as error:  # an artifact is not worth a run
        get_run_logger().warning("the plan could not be published: %s", error)


def _publish_results(execution: Execution) -> None:
    try:
        if tables := artifacts.comparison(execution.tasks):
            create_markdown_artifact(tables, key="comparison", description="All candidates")
        if link := execution.mlflow_link():
            create_markdown_artifact(link, key="mlflow", description="MLflow's run of this pipeline execution")
    except Exception as error:
        get_run_logger().warning("the results could not be published: %s", error)
