"""Work pools read back from the server, and what Prefect's workers make of their templates."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import PrefectHTTPStatusError
from prefect.workers.base import BaseJobConfiguration
from prefect.workers.process import ProcessJobConfiguration
from pydantic import ConfigDict

from core.errors import StillhouseError
from pipelines.deploy import pools
from pipelines.deploy.declared import DockerPool, KubernetesPool, Pool, ProcessPool

pytestmark = pytest.mark.servers

DOCKER = DockerPool(
    type="docker",
    image="stillhouse-train:latest",
    gpus=2,
    memory="32g",
    shared_memory="8g",
    volumes=["cache:/cache"],
    env={"MLFLOW_TRACKING_URI": "http://mlflow:5000"},
    network="lab",
    limit=1,
)
KUBERNETES = KubernetesPool(
    type="kubernetes",
    image="stillhouse-train:latest",
    gpus=1,
    memory="32g",
    shared_memory="512m",
    cpus="4",
    namespace="ml",
)


def job(client: SyncPrefectClient, name: str, values: dict[str, Any] | None = None) -> Any:
    """What a worker starts by the template on the server, with the job variables of a deployment."""

    class Job(BaseJobConfiguration):
        model_config = ConfigDict(extra="allow")

    template = client.read_work_pool(name).base_job_template
    return asyncio.run(Job.from_template_and_values(template, values or {}))


def test_a_docker_pool_asks_for_image_gpus_and_environment(client: SyncPrefectClient) -> None:
    assert pools.register(client, "gpu", DOCKER, dry=False).what == "created"
    found = client.read_work_pool("gpu")
    assert (found.type, found.concurrency_limit) == ("docker", 1)
    container = job(client, "gpu", {"env": {"STILLHOUSE_DVC_REMOTE": "store"}})
    assert container.image == "stillhouse-train:latest"
    assert container.container_create_kwargs == {
        "device_requests": [{"count": 2, "capabilities": [["gpu"]]}],
        "shm_size": "8g",
    }
    assert (container.mem_limit, container.volumes) == ("32g", ["cache:/cache"])
    assert not hasattr(container, "auto_remove")  # the worker could not tell how it ended
    assert container.networks == ["lab"]
    assert not hasattr(container, "network_mode")
    assert container.env["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert container.env["STILLHOUSE_DVC_REMOTE"] == "store"
    assert container.env["DO_NOT_TRACK"] == "1"


@pytest.mark.parametrize(("gpus", "count"), [("all", -1), (1, 1), (0, None)])
def test_gpus_of_docker(gpus: Any, count: int | None) -> None:
    pool = DockerPool(type="docker", image="i", gpus=gpus)
    create = pools.template(pool)["job_configuration"].get("container_create_kwargs", {})
    assert create.get("device_requests") == ([{"count": count, "capabilities": [["gpu"]]}] if count else None)


def test_the_network_of_the_host_is_a_mode(client: SyncPrefectClient) -> None:
    pools.register(client, "gpu", DOCKER.model_copy(update={"network": "host"}), dry=False)
    container = job(client, "gpu")
    assert container.network_mode == "host"
    assert not hasattr(container, "networks")


def test_dockers_own_worker_takes_the_template(client: SyncPrefectClient) -> None:
    """With prefect-docker, where it is installed: its types accept every field, docker-py the request for GPUs."""
    worker = pytest.importorskip("prefect_docker.worker")
    from docker.types import HostConfig

    pools.register(client, "gpu", DOCKER, dry=False)
    template = client.read_work_pool("gpu").base_job_template
    found = asyncio.run(worker.DockerWorkerJobConfiguration.from_template_and_values(template, {}))
    create = found.container_create_kwargs
    (request,) = HostConfig(version="1.45", **create)["DeviceRequests"]
    assert (request["Count"], request["Capabilities"]) == (2, [["gpu"]])


def test_a_kubernetes_pool_asks_for_image_gpus_and_environment(client: SyncPrefectClient) -> None:
    pools.register(client, "cluster", KUBERNETES, dry=False)
    found = job(client, "cluster", {"env": {"STILLHOUSE_DVC_REMOTE": "store"}})
    assert found.namespace == found.job_manifest["metadata"]["namespace"] == "ml"
    pod = found.job_manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "stillhouse-train:latest"
    assert container["resources"] == {
        "limits": {"cpu": "4", "memory": "32Gi", "nvidia.com/gpu": 1},
        "requests": {"cpu": "4", "memory": "32Gi"},
    }
    assert found.env["STILLHOUSE_DVC_REMOTE"] == "store"
    assert found.env["DO_NOT_TRACK"] == "1"
    assert (pod["completions"], pod["parallelism"]) == (1, 1)  # prefect-kubernetes refuses a job without
    assert pod["volumes"] == [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}}]
    assert found.job_manifest["spec"]["ttlSecondsAfterFinished"] == 3600


def test_kubernetes_own_worker_takes_the_template(client: SyncPrefectClient) -> None:
    worker = pytest.importorskip("prefect_kubernetes.worker")
    pools.register(client, "cluster", KUBERNETES, dry=False)
    template = client.read_work_pool("cluster").base_job_template
    found = asyncio.run(worker.KubernetesWorkerJobConfiguration.from_template_and_values(template, {}))
    found._populate_env_in_manifest()
    (container,) = found.job_manifest["spec"]["template"]["spec"]["containers"]
    assert {"name": "DO_NOT_TRACK", "value": "1"} in container["env"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_without_gpus_kubernetes_is_asked_for_none(client: SyncPrefectClient) -> None:
    pools.register(client, "cluster", KubernetesPool(type="kubernetes", image="i"), dry=False)
    (container,) = job(client, "cluster").job_manifest["spec"]["template"]["spec"]["containers"]
    assert "nvidia.com/gpu" not in str(container)


def test_a_process_pool_has_the_quiet_environment(client: SyncPrefectClient) -> None:
    pools.register(client, "local", ProcessPool(type="process", env={"A": "b"}), dry=False)
    template = client.read_work_pool("local").base_job_template
    found = asyncio.run(ProcessJobConfiguration.from_template_and_values(template, {}))
    assert (found.env["A"], found.env["DO_NOT_TRACK"], found.working_dir) == ("b", "1", None)


def test_a_pool_is_updated_only_when_it_differs(client: SyncPrefectClient) -> None:
    pools.register(client, "gpu", DOCKER, dry=False)
    before = client.read_work_pool("gpu").updated
    assert pools.register(client, "gpu", DOCKER, dry=False).what == "unchanged"
    assert client.read_work_pool("gpu").updated == before
    changed = DOCKER.model_copy(update={"image": "stillhouse:2", "limit": None})
    assert pools.register(client, "gpu", changed, dry=True).changed == ["base_job_template", "concurrency_limit"]
    assert client.read_work_pool("gpu").updated == before
    pools.register(client, "gpu", changed, dry=False)
    assert job(client, "gpu").image == "stillhouse:2"
    assert client.read_work_pool("gpu").concurrency_limit is None


@pytest.mark.parametrize("pool", [ProcessPool(type="process", env={"A": "b"}), DOCKER, KUBERNETES])
@pytest.mark.parametrize(
    "values",
    [
        {"command": "touch PWNED"},
        {"image": "evil"},
        {"working_dir": "/"},
        {"volumes": ["/:/host"]},
        {"env": {"LD_PRELOAD": "evil.so"}},
        {"env": {"DO_NOT_TRACK": "0"}},
        {"env": {"STILLHOUSE_DVC_REMOTE": "$(touch PWNED)"}},
        {"env.PYTHONPATH": "/evil"},
    ],
    ids=str,
)
def test_job_variables_that_are_not_declared_are_refused(
    client: SyncPrefectClient, pool: Pool, values: dict[str, Any]
) -> None:
    """By the server, for a run and for a deployment (docs/faults.md 106)."""
    pools.register(client, "pool", pool, dry=False)
    flow = client.create_flow_from_name("stillhouse")
    deployment = client.create_deployment(
        flow, "one", work_pool_name="pool", job_variables={"env": {"STILLHOUSE_DVC_REMOTE": "store"}}
    )
    with pytest.raises(PrefectHTTPStatusError, match="422"):
        client.create_flow_run_from_deployment(deployment, job_variables=values)
    with pytest.raises(PrefectHTTPStatusError, match="422"):
        client.create_deployment(flow, "two", work_pool_name="pool", job_variables=values)
    assert client.read_flow_runs(limit=1) == []
    run = client.create_flow_run_from_deployment(deployment, job_variables={"env": {"STILLHOUSE_DVC_REMOTE": "other"}})
    client.delete_flow_run(run.id)


@pytest.mark.parametrize("pool", [ProcessPool(type="process"), DOCKER, KUBERNETES])
def test_a_template_takes_nothing_that_came_past_the_server(client: SyncPrefectClient, pool: Pool) -> None:
    pools.register(client, "pool", pool, dry=False)
    evil = {
        "command": "evil",
        "image": "evil",
        "working_dir": "evil",
        "volumes": ["evil"],
        "name": "evil",
        "args": "evil",
    }
    assert job(client, "pool", evil).model_dump() == job(client, "pool").model_dump()


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (WorkPoolCreate(name="gpu", type="docker"), "not made from this file"),
        (
            WorkPoolCreate(name="gpu", type="process", description=pools.OURS),
            "a process pool, and a pool cannot change",
        ),
    ],
)
def test_the_pool_of_somebody_else_is_left_alone(client: SyncPrefectClient, there: Any, expected: str) -> None:
    client.create_work_pool(there)
    pool: Pool = DOCKER
    with pytest.raises(StillhouseError, match=expected):
        pools.register(client, "gpu", pool, dry=False)
