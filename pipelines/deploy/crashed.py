"""Close what a worker that is gone left as running: `python -m pipelines.deploy.crashed POOL`.

For a pool with one worker, before it starts: nothing can be running there then, but a run that died with its container
would stay "running" on the server for ever, and hold the place of the next one.
"""

from __future__ import annotations

import sys

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Crashed

UNDER_WAY = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def close(client: SyncPrefectClient, pool: str) -> list[FlowRun]:
    """Mark the runs of a pool that are under way as crashed; returns them."""
    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDER_WAY))),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
    )
    for run in runs:
        client.set_flow_run_state(run.id, Crashed(message="its worker is gone; start it again"), force=True)
    return runs


if __name__ == "__main__":
    with get_client(sync_client=True) as prefect:
        for closed in close(prefect, sys.argv[1]):
            print(f"{closed.name}: was running when its worker went; marked as crashed")
