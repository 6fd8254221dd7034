"""Work pools: what a worker does with a run, as the template of its job.

The templates hold the fields of Prefect's workers (prefect 3.8.8, prefect-docker 0.7.4, prefect-kubernetes 0.8.0) that
Stillhouse declares, with the declared values in place. A deployment or a run can set nothing but the DVC remote: a
command, an image or a volume among a run's job variables would be code of whoever may start a run. Prefect's server
refuses other variables where a run is made from a deployment, and no placeholder of the template takes them elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound

from core.errors import StillhouseError
from pipelines.deploy import remote
from pipelines.deploy.declared import DockerPool, KubernetesPool, Pool, duration
from pipelines.deploy.outcome import Outcome
from pipelines.repro import QUIET

OURS = "Declared in pipelines/deployments.yaml; python -m pipelines.deploy keeps it so."
HOST_MODES = ("host", "bridge", "none")
REMOTE = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Name of a DVC remote."""


def register(client: SyncPrefectClient, name: str, pool: Pool, dry: bool) -> Outcome:
    """Create or update a work pool. Raises: StillhouseError for a pool of another type, or of somebody else."""
    wanted: dict[str, Any] = {"base_job_template": template(pool), "concurrency_limit": pool.limit}
    try:
        found = client.read_work_pool(name)
    except ObjectNotFound:
        if not dry:
            client.create_work_pool(WorkPoolCreate(name=name, type=pool.type, description=OURS, **wanted))
        return Outcome(name, "created")
    if found.description != OURS:
        raise StillhouseError(
            f"pools.{name}: the server has a work pool of this name that was not made from this file; choose another "
            f"name, or delete it (prefect work-pool delete {name})"
        )
    if found.type != pool.type:
        raise StillhouseError(
            f"pools.{name}: the server has it as a {found.type} pool, and a pool cannot change its type; choose "
            f"another name, or delete it (prefect work-pool delete {name})"
        )
    changed = [key for key, value in wanted.items() if getattr(found, key) != value]
    if changed and not dry:
        client.update_work_pool(name, WorkPoolUpdate(**wanted))
    return Outcome(name, "updated" if changed else "unchanged", changed)


def undeclared(client: SyncPrefectClient, declared: Sequence[str]) -> Iterator[Outcome]:
    """Pools that were made from the file and stand there no more. They are only told: others may use them, too."""
    offset = 0
    while page := client.read_work_pools(limit=200, offset=offset):
        for pool in page:
            if pool.description == OURS and pool.name not in declared:
                yield Outcome(pool.name, "undeclared")
        offset += len(page)


def template(pool: Pool) -> dict[str, Any]:
    """The job template of a pool: `job_configuration` with placeholders, and the `variables` that fill them."""
    env = {**QUIET, **pool.env}
    if isinstance(pool, DockerPool):
        return _docker(pool, env)
    if isinstance(pool, KubernetesPool):
        return _kubernetes(pool, env)
    return _template({}, env)


def _docker(pool: DockerPool, env: dict[str, str]) -> dict[str, Any]:
    create: dict[str, Any] = {}  # what docker-py takes to create a container
    if pool.gpus:
        count = -1 if pool.gpus == "all" else pool.gpus
        create["device_requests"] = [{"count": count, "capabilities": [["gpu"]]}]  # as `docker run --gpus`
    if pool.shared_memory:
        create["shm_size"] = pool.shared_memory
    host = pool.network in HOST_MODES
    # Not `auto_remove`: of a container that was killed and is gone at once the worker takes 0 for its exit code, and
    # its run stays "running" for ever, in the way of the next one.
    values: dict[str, Any] = {
        "image": pool.image,
        "image_pull_policy": pool.pull,
        "network_mode": pool.network if host else None,
        "networks": [pool.network] if pool.network and not host else [],
        "volumes": pool.volumes,
        "mem_limit": pool.memory,
        "container_create_kwargs": create,
    }
    return _template(values, env)


def _kubernetes(pool: KubernetesPool, env: dict[str, str]) -> dict[str, Any]:
    memory = pool.memory and pool.memory[:-1] + {"m": "Mi", "g": "Gi"}[pool.memory[-1]]
    resources = _stated({"cpu": pool.cpus, "memory": memory})
    # A GPU can only be limited, which requests it, too; without the device plugin no node has any to give.
    limits = resources | _stated({"nvidia.com/gpu": pool.gpus})
    container: dict[str, Any] = {
        "name": "prefect-job",
        "env": "{{ env }}",
        "image": pool.image,
        "imagePullPolicy": pool.pull,
        "resources": _stated({"limits": limits, "requests": resources}),
    }
    pod: dict[str, Any] = {
        "parallelism": 1,  # Prefect's worker asks for these two here, though Kubernetes knows them a level above
        "completions": 1,
        "restartPolicy": "Never",
        **_stated({"serviceAccountName": pool.service_account}),
        "containers": [container],
    }
    if pool.shared_memory:
        size = pool.shared_memory[:-1] + {"m": "Mi", "g": "Gi"}[pool.shared_memory[-1]]
        container["volumeMounts"] = [{"name": "shm", "mountPath": "/dev/shm"}]  # noqa: S108 - the mount point
        pod["volumes"] = [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}}]
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": pool.namespace},
        "spec": {
            "backoffLimit": 0,  # Prefect tells a failed run; a second start by Kubernetes would hide it
            "ttlSecondsAfterFinished": int(duration(pool.keep).total_seconds()),
            "template": {"spec": pod},
        },
    }
    return _template({"namespace": pool.namespace, "job_manifest": manifest}, env)


def _template(configuration: dict[str, Any], env: dict[str, str]) -> dict[str, Any]:
    """The job as it is declared; its only variable is the environment, in which only the DVC remote may differ."""
    fixed = {name: {"type": "string", "const": value} for name, value in env.items() if name != remote.VARIABLE}
    variables = {
        "title": "Environment",
        "type": "object",
        "properties": {**fixed, remote.VARIABLE: {"type": "string", "pattern": REMOTE}},
        "additionalProperties": False,
        "default": env,
    }
    return {
        "job_configuration": {"env": "{{ env }}", **_stated(configuration)},
        "variables": {"type": "object", "properties": {"env": variables}, "additionalProperties": False},
    }


def _stated(values: dict[str, Any]) -> dict[str, Any]:
    """Without what is not declared: Prefect's workers take null for a value."""
    return {name: value for name, value in values.items() if value}
