"""Close what a worker that is gone left as running: `python -m pipelines.deploy.crashed POOL`.

For a pool with one worker, before it starts: nothing can be running there then, but a run that died with its container
would stay "running" on the server for ever, and hold the place of the next one. Containers of a docker pool outlive
their worker: runs whose container goes on are left alone, and containers that have ended are removed.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from contextlib import closing

from docker.client import DockerClient
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

from core.errors import StillhouseError
from pipelines.flow.containers import engine

POOL, RUN = "io.prefect.work-pool-name", "io.prefect.flow-run-id"
"""Labels of the containers that Prefect's docker worker starts."""
UNDER_WAY = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def swept(pool: str) -> set[str]:
    """Remove the containers of a docker pool that have ended. Returns: ids of the runs whose containers have not.

    Raises: StillhouseError when the engine does not answer: then nothing is known of them.
    """
    try:
        with closing(DockerClient.from_env()) as connected:
            found = connected.api.containers(all=True, filters={"label": f"{POOL}={pool}"})
            for container in found:
                if container["State"] in ("exited", "dead"):
                    engine.remove(connected, container["Id"])
            return {each["Labels"][RUN] for each in found if each["State"] not in ("exited", "dead")}
    except engine.UNREACHABLE as error:
        raise StillhouseError(
            f"the engine of work pool {pool} does not answer ({engine.reason(error)}); start it, or set DOCKER_HOST"
        ) from None


def close(client: SyncPrefectClient, pool: str, alive: Collection[str] = ()) -> list[FlowRun]:
    """Mark the runs of a pool that are under way as crashed, but for those that are `alive`; returns them."""
    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDER_WAY))),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
    )
    gone = [run for run in runs if str(run.id) not in alive]
    for run in gone:
        client.set_flow_run_state(run.id, Crashed(message="its worker is gone; start it again"), force=True)
    return gone


if __name__ == "__main__":
    with get_client(sync_client=True) as prefect:
        try:
            living = swept(sys.argv[1]) if prefect.read_work_pool(sys.argv[1]).type == "docker" else set()
        except StillhouseError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
        for closed in close(prefect, sys.argv[1], living):
            print(f"{closed.name}: was running when its worker went; marked as crashed")
