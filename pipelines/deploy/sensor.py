"""A Prefect flow that looks at the data source of a task and starts a deployment when it has changed.

It runs on an interval in a process pool, as the file of deployments declares. The deployment is started by a direct
call with an idempotency key, and what was seen is remembered after that: a look that dies in between is taken again and
finds its run there already. (An automation would hang on an event that is sent aside, over another connection, and is
lost when the server restarts; the version would be remembered all the same.) Events are emitted for whoever listens:

    stillhouse.source.changed    a run would read something else than before; the deployment was started
    stillhouse.source.available  a pinned source has news; `params.yaml` must name them first, see `todo`

both of the resource `stillhouse.source.TASK`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed

from core import params
from core.errors import StillhouseError, suggest
from pipelines.deploy import memory, versions

CHANGED = "stillhouse.source.changed"
AVAILABLE = "stillhouse.source.available"


@flow(name="sensor", retries=0, persist_result=False)
def sensor(
    task: str, deployment: str, branch: str | None = None, settle_s: float = 30, at_first_look: bool = False
) -> State[Any]:
    """Look once at the data source of a task.

    Args:
        task: as in params.yaml
        deployment: FLOW/NAME, started on a change
        branch: of a git source; without it, HEAD
        settle_s: how long the files of a local source must rest before they count as changed
        at_first_look: start the deployment when nothing is remembered yet, too
    """
    try:
        with get_client(sync_client=True) as client:
            return Completed(message=look(client, task, deployment, branch, settle_s, at_first_look))
    except versions.UnsettledError:
        return Completed(message=f"{task}: files are being written; the next look will tell")
    except StillhouseError as error:
        return Failed(message=str(error))  # nothing is remembered: the next look compares with the same version


def look(
    client: SyncPrefectClient, task: str, deployment: str, branch: str | None, settle_s: float, at_first_look: bool
) -> str:
    """One look; returns what happened, in words. Raises: StillhouseError, and then nothing is remembered."""
    _, tasks = params.load()
    if task not in tasks:
        raise StillhouseError(f"params.yaml runs no task {task!r}; {suggest(task, list(tasks))}")
    name = deployment.rpartition("/")[2]
    seen = memory.recall(client, name)
    version = versions.look(tasks[task].data, task, seen, settle_s, branch)
    now = {"reads": version.reads, "upstream": version.upstream, "mark": version.mark}
    count = seen["changes"] if seen else 0
    changed = seen["reads"] != version.reads if seen else at_first_look
    if changed:
        count += 1
        run = _start(client, deployment, _key(name, count, version.reads))
        memory.remember(client, name, {**now, "changes": count})
        before = seen["reads"] if seen else None
        _emit(CHANGED, task, {"before": before, "after": version.reads, "deployment": deployment, "flow_run": run})
        return f"{task}: the data source changed; started {deployment} as run {run}"
    if seen is None or any(seen.get(key) != value for key, value in now.items()):
        memory.remember(client, name, {**now, "changes": count})
    if _news(seen, version):
        _emit(AVAILABLE, task, {"pinned": version.reads, "upstream": version.upstream, "todo": version.todo})
        todo = ", ".join(f"{key}: {value}" for key, value in version.todo.items())
        get_run_logger().warning(
            "%s: there is a new version at %s. To use it, set in params.yaml %s", task, version.reads["source"], todo
        )
        return f"{task}: a new version is there; to use it, set in params.yaml {todo}"
    return f"{task}: no change" if seen else f"{task}: first look, remembered"


def _news(seen: dict[str, Any] | None, version: versions.Version) -> bool:
    """Whether a pinned source has a version that was not told yet. What a server says of an archive tells nothing about
    the pinned sha256, so there the first look only remembers."""
    if version.upstream is None or version.upstream == version.reads.get("commit"):
        return False
    same_source = seen is not None and seen["reads"]["source"] == version.reads["source"]
    if not same_source or seen is None:
        return "commit" in version.reads
    return bool(seen.get("upstream") != version.upstream)


def _start(client: SyncPrefectClient, deployment: str, key: str) -> str:
    try:
        target = client.read_deployment_by_name(deployment)
    except ObjectNotFound:
        raise StillhouseError(
            f"the server has no deployment {deployment!r}; run python -m pipelines.deploy again"
        ) from None
    return str(client.create_flow_run_from_deployment(target.id, idempotency_key=key, tags=["new-data"]).id)


def _key(name: str, count: int, reads: dict[str, Any]) -> str:
    """The same for a look that is taken again, another one when a source goes back to what it was."""
    return f"{name}-{count}-{hashlib.sha256(json.dumps(reads, sort_keys=True).encode()).hexdigest()[:16]}"


def _emit(event: str, task: str, payload: dict[str, Any]) -> None:
    emit_event(event=event, resource={"prefect.resource.id": f"stillhouse.source.{task}"}, payload=payload)
