"""Deployments on the server: what is declared is created or updated, what differs is named, the rest is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import ObjectNotFound

from core.errors import StillhouseError
from pipelines.deploy import memory, remote, repository
from pipelines.deploy.declared import Change, Cron, Declared, DeclaredError, Deployment, duration
from pipelines.deploy.flowfile import FlowFile
from pipelines.deploy.outcome import Outcome

TAG = "stillhouse"
"""Marks what was registered from the file: only that is ever reported or pruned."""
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
"""Intervals count from here; from `now`, each registering would be a change."""


@dataclass(frozen=True)
class Wanted:
    """A deployment as it should be on the server."""

    flow: str
    name: str
    fields: dict[str, Any]
    """Arguments of `create_deployment`, without the schedule."""
    schedule: CronSchedule | IntervalSchedule | None
    trigger: str
    """For people."""

    @property
    def full_name(self) -> str:
        return f"{self.flow}/{self.name}"


def plan(declared: Declared, pipeline: FlowFile, sensor: FlowFile, root: Path) -> list[Wanted]:
    """Every deployment that the file asks for, a sensor after the one that it starts.

    Raises: DeclaredError with every repository that this checkout cannot resolve.
    """
    wanted, problems = [], []
    for name, deployment in declared.deployments.items():
        try:
            steps = repository.pull_steps(deployment.repository, root)
        except StillhouseError as error:
            problems.append(f"deployments.{name}.repository: {error}")
            continue
        wanted.append(_pipeline(name, deployment, pipeline, steps))
        if isinstance(deployment.trigger, Change):
            wanted.append(_sensor(name, deployment.trigger, wanted[-1].full_name, sensor, steps))
    if problems:
        raise DeclaredError(declared.path, problems)
    return wanted


def _pipeline(name: str, deployment: Deployment, flow: FlowFile, steps: list[dict[str, Any]]) -> Wanted:
    trigger = deployment.trigger
    schedule, text = None, "by hand"
    if isinstance(trigger, Cron):
        schedule, text = (
            CronSchedule(cron=trigger.cron, timezone=trigger.timezone),
            f"{trigger.cron} {trigger.timezone}",
        )
    elif isinstance(trigger, Change):
        text = "on new data"
    fields = _fields(deployment.description, flow, steps)
    fields |= {
        "work_pool_name": deployment.pool,
        "parameters": deployment.parameters,
        "concurrency_limit": deployment.concurrency.limit,
        "concurrency_options": _options(deployment.concurrency.strategy),
        "job_variables": {"env": {remote.VARIABLE: deployment.remote}} if deployment.remote else {},
    }
    return Wanted(flow.name, name, fields, schedule, text)


def _sensor(name: str, trigger: Change, starts: str, flow: FlowFile, steps: list[dict[str, Any]]) -> Wanted:
    fields = _fields(f"Starts {starts} when the data source of {trigger.source} changes", flow, steps)
    fields |= {
        "work_pool_name": trigger.pool,
        "parameters": {
            "task": trigger.source,
            "deployment": starts,
            "branch": trigger.branch,
            "settle_s": int(duration(trigger.settle).total_seconds()),
            "at_first_look": trigger.at_first_look,
        },
        "concurrency_limit": 1,
        "concurrency_options": _options("cancel_new"),  # a look that is due while one goes on is not needed
        "job_variables": {},
    }
    schedule = IntervalSchedule(interval=duration(trigger.every), anchor_date=EPOCH, timezone="UTC")
    return Wanted(flow.name, name, fields, schedule, f"every {trigger.every}")


def _fields(description: str, flow: FlowFile, steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "description": description,
        "entrypoint": flow.entrypoint,
        "path": None,
        "pull_steps": steps,
        "parameter_openapi_schema": flow.schema,
        "enforce_parameter_schema": True,
        "tags": [TAG],
    }


def _options(strategy: str) -> ConcurrencyOptions:
    return ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy(strategy.upper()))


def register(client: SyncPrefectClient, wanted: Wanted, dry: bool) -> Outcome:
    """Create the deployment, or bring it up to date; one that is as declared is not touched.

    A schedule that somebody paused on the server stays paused.
    """
    found = _found(client, wanted.full_name)
    changed = [] if found is None else _differences(found, wanted)
    if found is not None and not changed:
        return Outcome(wanted.full_name, "unchanged")
    if not dry:
        active = all(schedule.active for schedule in found.schedules) if found else True
        schedules = [DeploymentScheduleCreate(schedule=wanted.schedule, active=active)] if wanted.schedule else []
        flow_id = client.create_flow_from_name(wanted.flow)
        client.create_deployment(flow_id=flow_id, name=wanted.name, schedules=schedules, **wanted.fields)
    return Outcome(wanted.full_name, "updated" if found else "created", changed)


def _found(client: SyncPrefectClient, full_name: str) -> DeploymentResponse | None:
    try:
        return client.read_deployment_by_name(full_name)
    except ObjectNotFound:
        return None


def _differences(found: DeploymentResponse, wanted: Wanted) -> list[str]:
    there = {key: getattr(found, key) for key in wanted.fields if key != "concurrency_limit"}
    limit = found.global_concurrency_limit
    there["concurrency_limit"] = limit.limit if limit else None
    changed = [key for key, value in wanted.fields.items() if there[key] != value]
    schedules = [schedule.schedule for schedule in found.schedules]
    return [*changed, "schedule"] if schedules != ([wanted.schedule] if wanted.schedule else []) else changed


def undeclared(client: SyncPrefectClient, declared: list[Wanted], prune: bool, dry: bool) -> Iterator[Outcome]:
    """Deployments on the server that were registered from the file and stand there no more; with `prune` deleted.

    A deleted sensor forgets what it saw, so that one of the same name begins anew.
    """
    names = {wanted.full_name for wanted in declared}
    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    offset = 0
    leaving = []
    while page := client.read_deployments(deployment_filter=ours, limit=200, offset=offset):
        for deployment in page:
            name = f"{client.read_flow(deployment.flow_id).name}/{deployment.name}"
            if name not in names:
                leaving.append((name, deployment))
        offset += len(page)
    for name, deployment in sorted(leaving, key=lambda entry: entry[0]):
        if prune and not dry:
            client.delete_deployment(deployment.id)
            memory.forget(client, deployment.name)
        yield Outcome(name, "deleted" if prune else "undeclared")
