"""Run the pipeline in the stack of docker/compose.yaml: `python -m pipelines.deploy.stack [TARGET ...]`.

Registers docker/stack/deployments.yaml at the commit of the working directory, starts the run, prints its log, waits.
The stack's service `submit` runs this (`make stack-run`); elsewhere PREFECT_API_URL names the server.
Exit codes: 0 completed, 1 failed, 2 could not be started, 3 cancelled, 130 Ctrl-C (the run goes on).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.sorting import LogSort
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from rich.console import Console

from core.errors import StillhouseError
from pipelines.deploy.__main__ import deploy

FILE = Path("docker", "stack", "deployments.yaml")
DEPLOYMENT = "stillhouse/stack"
POLL_S = 2.0
PAGE = 200
OUTAGE_S = 120.0
"""How long the server may be away while a run is followed."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.deploy.stack", description="Run the pipeline in the stack."
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="a stage, as for `dvc repro`; none: all")
    parser.add_argument("--jobs", "-j", type=int, default=0, help="stages at once; default: one per core")
    parser.add_argument("--force", "-f", action="store_true", help="run also what did not change")
    parser.add_argument("--downstream", action="store_true", help="the targets and all that depends on them")
    parser.add_argument("--no-wait", action="store_true", help="start it, and leave")
    options = parser.parse_args(arguments)
    try:
        deploy(FILE, dry=False, prune=False, console=Console(stderr=True))
        with get_client(sync_client=True) as client:
            run = _start(client, options)
            print(f"run {run.name} ({run.id})", flush=True)
            state = None if options.no_wait else follow(client, run.id)
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("no longer following; the run goes on, see Prefect's page", file=sys.stderr)
        sys.exit(130)
    if state is not None:
        print(f"{_word(state)}: {state.message or ''}".rstrip(": "))
        sys.exit(0 if state.is_completed() else 3 if state.is_cancelled() else 1)


def _start(client: SyncPrefectClient, options: argparse.Namespace) -> FlowRun:
    values = {
        "targets": options.targets,
        "jobs": options.jobs,
        "force": options.force,
        "downstream": options.downstream,
    }
    deployment = client.read_deployment_by_name(DEPLOYMENT)
    return client.create_flow_run_from_deployment(deployment.id, parameters=values)


def follow(client: SyncPrefectClient, run: UUID) -> State[Any]:
    """Print a run's log until it ends; returns its last state. Raises: StillhouseError when the server stays away."""
    printed, said, away = 0, "", 0.0
    stages: dict[UUID, str] = {}
    while True:
        try:
            state = client.read_flow_run(run).state
            if state is not None and not state.is_final() and _word(state) != said:
                said = _word(state)
                print(f"-- {said}", flush=True)
            for line in _lines(client, run, printed, stages):
                printed += 1
                print(line, flush=True)
            if state is not None and state.is_final():
                return state
            away = 0.0
        except (httpx.HTTPError, PrefectHTTPStatusError) as error:
            away = away or time.monotonic()
            if time.monotonic() - away > OUTAGE_S:
                raise StillhouseError(f"Prefect's server does not answer ({error}); the run may still go on") from None
        time.sleep(POLL_S)


def _word(state: State[Any]) -> str:
    return str(state.name or state.type.value).lower()


def _lines(client: SyncPrefectClient, run: UUID, offset: int, stages: dict[UUID, str]) -> Iterator[str]:
    """What was logged since, each line with the stage that it is about. stages: names known; grows."""
    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]))
    while logs := client.read_logs(chosen, limit=PAGE, offset=offset, sort=LogSort.TIMESTAMP_ASC):
        for log in logs:
            name = _stage(client, log.task_run_id, stages)
            of = f"{name}: " if name and not log.message.startswith(f"{name}:") else ""
            yield f"{log.timestamp:%H:%M:%S} {of}{log.message}"
        offset += len(logs)


def _stage(client: SyncPrefectClient, task: UUID | None, stages: dict[UUID, str]) -> str:
    """The stage that a task run follows; empty for what the flow says, and while the server does not know the run."""
    if task is not None and task not in stages:
        with suppress(ObjectNotFound):  # task runs reach the server after the first of their logs
            stages[task] = client.read_task_run(task).name
    return stages.get(task, "") if task else ""


if __name__ == "__main__":
    main()
