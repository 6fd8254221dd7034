"""A Prefect flow that starts crashed runs of a deployment again, as the file of deployments declares.

Crashed is what Prefect calls a run whose container, process, worker or machine was lost. It starts such a run again by
itself in no case: the `retries` of a flow are the flow's own, which is gone by then. An automation of Prefect's could
set the state back, but counts nothing, so a run that is killed each time would start for ever; therefore the automation
starts this flow, which counts. It is the same run that goes on, with its parameters and its place in the schedule. A
run whose stage failed is Failed, and is never looked at here.

The automation hangs on an event, which a server that restarts may lose; so this flow also looks by a schedule at what
crashed within `RECENT`, and at runs that give no sign of life any more, as a machine that is switched off leaves them.
Prefect's way for these, an automation that waits for signs, takes runs for dead that have ended well
(https://github.com/PrefectHQ/prefect/issues/21932), and with prefect 3.8.8 its loop stopped when an automation was
deleted.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import DeploymentResponse, OrchestrationResult, SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.filters import EventFilter, EventNameFilter, EventOrder, EventResourceFilter
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Completed, Crashed, Failed

from core.errors import StillhouseError
from pipelines.deploy import crashed

RECENT = timedelta(hours=6)
"""What crashed longer ago is left to people: a rule that is declared today starts nothing of last week."""
SILENT = timedelta(minutes=10)
"""Three signs that did not come: Prefect's flows send one every three minutes (PREFECT_FLOWS_HEARTBEAT_FREQUENCY)."""
SIGN = "prefect.flow-run.heartbeat"
RUN = "prefect.flow-run."
"""What stands before a run's id in an event."""


@flow(name="recovery", retries=0, persist_result=False)
def recovery(deployment: str, times: int, wait_s: float, run: str = "") -> State[Any]:
    """Start crashed runs again, each at most so many times.

    Args:
        deployment: FLOW/NAME
        times: how often one run is started again
        wait_s: seconds before the first time; they double with each further one
        run: of the event, `prefect.flow-run.ID`, whose giving up is told in its log; empty: all that crashed lately
    """
    try:
        with get_client(sync_client=True) as client:
            return Completed(message=look(client, deployment, times, wait_s, run.removeprefix(RUN)))
    except StillhouseError as error:
        return Failed(message=str(error))  # nothing is started; the next look tries again


def look(client: SyncPrefectClient, deployment: str, times: int, wait_s: float, run: str = "") -> str:
    """One look; returns what was done, in words. run: id of the one that has just crashed.

    Raises: StillhouseError when it cannot be known whether a run's container goes on.
    """
    try:
        target = client.read_deployment_by_name(deployment)
    except ObjectNotFound:
        raise StillhouseError(
            f"the server has no deployment {deployment!r}; run python -m pipelines.deploy again"
        ) from None
    found = _runs(client, target, StateType.CRASHED)
    silent = [each for each in _runs(client, target, StateType.RUNNING) if _silent(client, each)]
    if not found and not silent:
        return f"{deployment}: no crashed run"
    pool = target.work_pool_name
    docker = pool is not None and client.read_work_pool(pool).type == "docker"
    living = crashed.swept(pool) if docker and pool else set()
    said = []
    for each in silent:
        if str(each.id) not in living:
            client.set_flow_run_state(each.id, Crashed(message=f"no sign of life for {SILENT}"))
            found.append(client.read_flow_run(each.id))
    for each in found:
        if str(each.id) in living:
            said.append(f"{each.name}: its container goes on, and ends the run by itself")
        else:
            said.append(f"{each.name}: {_again(client, each, times, wait_s, told=str(each.id) == run)}")
    return "; ".join(said)


def _runs(client: SyncPrefectClient, target: DeploymentResponse, kind: StateType) -> list[FlowRun]:
    """Of a deployment, in a state of a kind; crashed ones that are RECENT."""
    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[kind]))),
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[target.id])),
        sort=FlowRunSort.START_TIME_DESC,
        limit=200,
    )
    since = datetime.now(UTC) - RECENT
    return [run for run in runs if run.state is not None and (kind is StateType.RUNNING or run.state.timestamp > since)]


def _silent(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Whether signs of life of a run have come, and come no more. One that never sent any is left alone."""
    mine = EventResourceFilter(id=[f"{RUN}{run.id}"])
    wanted = EventFilter(event=EventNameFilter(name=[SIGN]), resource=mine, order=EventOrder.DESC)
    signs = client.read_events(wanted, limit=1).events
    since = datetime.now(UTC) - SILENT
    assert run.state is not None
    return bool(signs) and signs[0].occurred < since and run.state.timestamp < since


def _again(client: SyncPrefectClient, run: FlowRun, times: int, wait_s: float, *, told: bool) -> str:
    """Start one run again, if it may be. The server's history of its states is what counts; a state that has changed
    meanwhile is not overruled. told: whether the run's log hears of giving up. Returns: what was done, in words."""
    states = client.read_flow_run_states(run.id)
    crashes = sum(state.type is StateType.CRASHED for state in states)
    assert run.state is not None
    why = run.state.message or "no reason is known"
    if crashes > times:
        if told:
            _tell(client, run.id, f"crashed {crashes} times ({why}); not started again, `times` is {times}")
        return f"crashed {crashes} times, not started again"
    wait = wait_s * 2 ** (crashes - 1)
    words = f"crashed ({why}); started again in {wait:g} s, {crashes} of {times} times"
    due = datetime.now(UTC) + timedelta(seconds=wait)
    result: OrchestrationResult[Any] = client.set_flow_run_state(
        run.id, AwaitingRetry(scheduled_time=due, message=words)
    )
    if result.status is not SetStateStatus.ACCEPT:
        return f"not started again, the server says: {getattr(result.details, 'reason', result.status.value)}"
    _tell(client, run.id, words)
    return f"started again in {wait:g} s, {crashes} of {times} times"


def _tell(client: SyncPrefectClient, run: UUID, words: str) -> None:
    """In the run's own log."""
    line = {"name": __name__, "level": logging.WARNING, "message": words, "flow_run_id": str(run)}
    client.create_logs([{**line, "timestamp": datetime.now(UTC).isoformat()}])
