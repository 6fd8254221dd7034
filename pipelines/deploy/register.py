"""Deployments on the server: what is declared is created or updated, what differs is named, the rest is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
from pipelines.deploy import automations, memory, remote, repository
from pipelines.deploy.declared import Change, Crash, Cron, Declared, DeclaredError, Deployment, duration
from pipelines.deploy.flowfile import FlowFile
from pipelines.deploy.outcome import Outcome

TAG = "stillhouse"
"""Marks what was registered from the file: only that is ever reported or pruned."""
LOOK_S = 900
"""Seconds between two looks of a recovery that no crash has called."""
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
"""Intervals count from here; from `now`, each registering would be a change."""


@dataclass(frozen=True)
class Flows:
    """What deployments run."""

    pipeline: FlowFile
    sensor: FlowFile
    recovery: FlowFile


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
    watches: str = ""
    """FLOW/NAME of the deployment whose crashed runs this one starts again; empty: none."""

    @property
    def full_name(self) -> str:
        return f"{self.flow}/{self.name}"


def plan(declared: Declared, flows: Flows, root: Path) -> list[Wanted]:
    """Every deployment that the file asks for, a sensor or a recovery after the one that it starts.

    Raises: DeclaredError with every repository that this checkout cannot resolve.
    """
    wanted, problems = [], []
    for name, deployment in declared.deployments.items():
        try:
            steps = repository.pull_steps(deployment.repository, root)
        except StillhouseError as error:
            problems.append(f"deployments.{name}.repository: {error}")
            continue
        ours = _pipeline(name, deployment, flows.pipeline, steps)
        wanted.append(ours)
        if isinstance(deployment.trigger, Change):
            wanted.append(_sensor(name, deployment.trigger, ours.full_name, flows.sensor, steps))
        if deployment.crashed is not None:
            wanted.append(_recovery(name, deployment.crashed, ours.full_name, flows.recovery, steps))
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


def _recovery(name: str, rule: Crash, starts: str, flow: FlowFile, steps: list[dict[str, Any]]) -> Wanted:
    wait = int(duration(rule.wait).total_seconds())
    fields = _fields(f"Starts runs of {starts} again that crashed", flow, steps)
    fields |= {
        "work_pool_name": rule.pool,
        "parameters": {"deployment": starts, "times": rule.times, "wait_s": wait},
        "concurrency_limit": 1,
        "concurrency_options": _options("enqueue"),  # one after the other: two would count the same crash
        "job_variables": {},
    }
    schedule = IntervalSchedule(interval=timedelta(seconds=LOOK_S), anchor_date=EPOCH, timezone="UTC")
    return Wanted(flow.name, name, fields, schedule, "after a crash", watches=starts)


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


def watch(client: SyncPrefectClient, wanted: list[Wanted], dry: bool) -> Iterator[Outcome]:
    """The automations of what is to be started again, once all deployments are there; none of others."""
    for entry in wanted:
        if entry.watches:
            yield automations.register(client, entry.watches, entry.full_name, dry)
    yield from automations.undeclared(client, [entry.watches for entry in wanted if entry.watches], dry)


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
            if name.startswith("sensor/"):
                memory.forget(client, deployment.name)
        yield Outcome(name, "deleted" if prune else "undeclared")
