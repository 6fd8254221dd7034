"""What the server holds after deploying, read back from it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.settings import PREFECT_API_URL, temporary_settings
from stand_in import commit, git

from pipelines.deploy import memory
from pipelines.deploy.__main__ import main

pytestmark = pytest.mark.servers

POOLS: dict[str, dict[str, Any]] = {
    "local": {"type": "process", "limit": 1},
    "sensors": {"type": "process"},
    "gpu": {"type": "docker", "image": "i:1", "gpus": 1},
}
NIGHTLY = {"pool": "local", "trigger": {"cron": "0 2 * * *", "timezone": "Europe/Berlin"}, "parameters": {"jobs": 2}}
DATA = {"pool": "local", "trigger": {"source": "detection", "every": "15m", "pool": "sensors", "settle": "1m"}}
HAND = {"pool": "local", "description": "By hand", "concurrency": {"limit": 2, "strategy": "cancel_new"}}


@pytest.fixture
def deploy(client: SyncPrefectClient, folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Deploys what is given; returns what was printed."""

    def call(deployments: dict[str, Any], *arguments: str, pools: dict[str, Any] = POOLS) -> str:
        path = folder.parent / "file.yaml"
        path.write_text(json.dumps({"pools": pools, "deployments": deployments}))
        capsys.readouterr()
        main(["--file", str(path), *arguments])
        return capsys.readouterr().out

    return call


def names(client: SyncPrefectClient) -> set[str]:
    return {f"{client.read_flow(found.flow_id).name}/{found.name}" for found in client.read_deployments()}


def stamps(client: SyncPrefectClient) -> dict[str, Any]:
    """When everything was last written."""
    things = [*client.read_deployments(), *client.read_work_pools()]
    return {str(thing.id): thing.updated for thing in things} | {
        str(schedule.id): schedule.updated for found in client.read_deployments() for schedule in found.schedules
    }


def test_deployments_are_as_declared(deploy: Any, client: SyncPrefectClient, folder: Path) -> None:
    printed = deploy({"nightly": NIGHTLY, "data": DATA, "hand": HAND})
    assert names(client) == {"stillhouse/nightly", "stillhouse/data", "sensor/data", "stillhouse/hand"}
    nightly = client.read_deployment_by_name("stillhouse/nightly")
    (schedule,) = nightly.schedules
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 2 * * *", "Europe/Berlin")
    assert (nightly.work_pool_name, nightly.parameters) == ("local", {"jobs": 2})
    assert nightly.entrypoint == "pipelines/flow/prefect_flow.py:pipeline"
    assert steps(nightly) == {"set_working_directory": {"directory": str(folder)}}
    assert limits(nightly) == (1, "ENQUEUE")
    assert client.read_work_pool("local").concurrency_limit == 1

    assert client.read_deployment_by_name("stillhouse/data").schedules == []
    sensor = client.read_deployment_by_name("sensor/data")
    assert sensor.schedules[0].schedule.interval == timedelta(minutes=15)
    assert (sensor.work_pool_name, sensor.entrypoint) == ("sensors", "pipelines/deploy/sensor.py:sensor")
    assert sensor.parameters == {
        "task": "detection",
        "deployment": "stillhouse/data",
        "branch": None,
        "settle_s": 60,
        "at_first_look": False,
    }

    hand = client.read_deployment_by_name("stillhouse/hand")
    assert (hand.description, hand.schedules, limits(hand)) == ("By hand", [], (2, "CANCEL_NEW"))
    assert "prefect worker start --pool local" in printed
    assert "prefect deployment run stillhouse/hand -p jobs=2" in printed
    assert all(len(line) <= 80 for line in printed.splitlines() if "stillhouse/" in line)


def steps(deployment: DeploymentResponse) -> dict[str, Any]:
    assert deployment.pull_steps
    return {name.rsplit(".", 1)[1]: inputs for step in deployment.pull_steps for name, inputs in step.items()}


def limits(deployment: DeploymentResponse) -> tuple[int, str]:
    assert deployment.global_concurrency_limit and deployment.concurrency_options
    return deployment.global_concurrency_limit.limit, deployment.concurrency_options.collision_strategy.value


def test_the_server_checks_parameters_by_the_flows_signature(deploy: Any, client: SyncPrefectClient) -> None:
    deploy({"hand": HAND})
    found = client.read_deployment_by_name("stillhouse/hand")
    assert client.create_flow_run_from_deployment(found.id, parameters={"jobs": 3}).parameters["jobs"] == 3
    with pytest.raises(Exception, match="jobs"):
        client.create_flow_run_from_deployment(found.id, parameters={"jobs": "many"})


def test_registering_twice_changes_nothing(deploy: Any, client: SyncPrefectClient) -> None:
    everything = {"nightly": NIGHTLY, "data": DATA, "hand": HAND}
    deploy(everything)
    before = stamps(client)
    printed = deploy(everything)
    assert printed.count("unchanged") == 4
    assert stamps(client) == before


def test_only_what_differs_is_updated(deploy: Any, client: SyncPrefectClient) -> None:
    deploy({"nightly": NIGHTLY, "hand": HAND})
    before = stamps(client)
    hand = client.read_deployment_by_name("stillhouse/hand").id
    printed = deploy({"nightly": {**NIGHTLY, "trigger": {"cron": "0 3 * * *"}, "parameters": {}}, "hand": HAND})
    assert "stillhouse/nightly: updated: parameters, schedule" in printed
    (schedule,) = client.read_deployment_by_name("stillhouse/nightly").schedules
    assert schedule.schedule.cron == "0 3 * * *"
    assert stamps(client)[str(hand)] == before[str(hand)]


def test_a_schedule_that_was_paused_stays_paused(deploy: Any, client: SyncPrefectClient) -> None:
    deploy({"nightly": NIGHTLY})
    found = client.read_deployment_by_name("stillhouse/nightly")
    client.update_deployment_schedule(found.id, found.schedules[0].id, active=False)
    assert "unchanged" in deploy({"nightly": NIGHTLY})
    deploy({"nightly": {**NIGHTLY, "trigger": {"cron": "0 3 * * *"}}})
    (schedule,) = client.read_deployment_by_name("stillhouse/nightly").schedules
    assert (schedule.schedule.cron, schedule.active) == ("0 3 * * *", False)


def test_a_change_of_trigger_takes_the_schedule_away(deploy: Any, client: SyncPrefectClient) -> None:
    deploy({"nightly": NIGHTLY})
    deploy({"nightly": {"pool": "local"}})
    assert client.read_deployment_by_name("stillhouse/nightly").schedules == []


def test_a_dry_run_tells_and_changes_nothing(deploy: Any, client: SyncPrefectClient) -> None:
    printed = deploy({"nightly": NIGHTLY}, "--dry")
    assert "created" in printed
    assert "nothing was changed" in printed
    assert names(client) == set()
    deploy({"nightly": NIGHTLY, "hand": HAND})
    before = stamps(client)
    printed = deploy({"nightly": {**NIGHTLY, "parameters": {}}}, "--dry", "--prune")
    assert "stillhouse/nightly: updated: parameters" in printed
    assert "stillhouse/hand: would be deleted" in printed
    assert stamps(client) == before


def test_what_is_no_longer_declared_is_told_and_pruned(deploy: Any, client: SyncPrefectClient) -> None:
    deploy({"data": DATA, "hand": HAND})
    flow = client.create_flow_from_name("stillhouse")
    client.create_deployment(flow, "somebody-elses")
    memory.remember(client, "data", {"changes": 0})
    printed = deploy({"hand": HAND}, pools={"local": POOLS["local"]})
    assert "sensor/data: on the server, but no longer declared; --prune deletes it" in printed
    assert "gpu: on the server, but no longer declared; prefect work-pool delete gpu" in printed
    assert "sensor/data" in names(client)
    printed = deploy({"hand": HAND}, "--prune")
    assert "sensor/data: deleted" in printed
    assert names(client) == {"stillhouse/hand", "stillhouse/somebody-elses"}
    assert memory.recall(client, "data") is None


def test_a_clone_at_a_branch_or_commit(deploy: Any, client: SyncPrefectClient, folder: Path) -> None:
    git(folder, "remote", "add", "upstream", "https://example.org/x.git")
    head = commit(folder)
    sha = "0" * 40
    gpu = {"pool": "gpu", "remote": "store"}
    printed = deploy(
        {
            "branch": {**gpu, "repository": {"url": "https://example.org/y.git", "branch": "main", "token": "git"}},
            "commit": {**gpu, "repository": {"url": "upstream", "commit": sha}},
            "head": {**gpu, "repository": {"url": "upstream", "commit": "head"}},
            "itself": {**gpu, "repository": {"url": str(folder), "commit": "head"}},
        }
    )
    assert steps(client.read_deployment_by_name("stillhouse/branch"))["git_clone"] == {
        "repository": "https://example.org/y.git",
        "clone_directory_name": "stillhouse",
        "branch": "main",
        "access_token": "{{ prefect.blocks.secret.git }}",
    }
    named = steps(client.read_deployment_by_name("stillhouse/commit"))["git_clone"]
    assert (named["repository"], named["commit_sha"]) == ("https://example.org/x.git", sha)
    assert "warning: itself: the commit" not in printed, "what is cloned from this very folder needs no other remote"
    found = client.read_deployment_by_name("stillhouse/head")
    assert steps(found)["git_clone"]["commit_sha"] == head
    assert found.job_variables == {"env": {"STILLHOUSE_DVC_REMOTE": "store"}}
    assert f"warning: itself: a container does not see {folder}" in printed
    assert "warning: head: the commit of this folder is on no remote branch" in printed
    assert "warning: branch, commit, head, itself: .dvc/config names no remote 'store'" in printed


def test_a_remote_of_the_machines_own_config_is_no_surprise(
    deploy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"a": {"pool": "local", "remote": "store"}}
    assert "names no remote 'store'" in deploy(entry)
    (tmp_path / "config").write_text("['remote \"store\"']\n    url = s3://dvc\n")
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path))
    assert "names no remote" not in deploy(entry)


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_a_repository_that_nobody_knows_is_refused(deploy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"pool": "local", "repository": {"url": "orign", "commit": "head"}}
    with pytest.raises(SystemExit) as ended:
        deploy({"a": entry, "b": entry})
    assert ended.value.code == 2
    told = refused(capsys)
    assert "deployments.a.repository: 'orign' is neither a URL" in told
    assert "deployments.b.repository" in told
    assert "Traceback" not in told


def test_a_git_remote_with_a_password_is_not_stored(
    deploy: Any, folder: Path, client: SyncPrefectClient, capsys: pytest.CaptureFixture[str]
) -> None:
    git(folder, "remote", "add", "origin", "https://me:hunter2@example.org/x.git")
    with pytest.raises(SystemExit):
        deploy({"a": {"pool": "local", "repository": {"url": "origin", "branch": "main"}}})
    told = refused(capsys)
    assert "holds a user or password" in told
    assert "hunter2" not in told
    assert names(client) == set()


def test_a_server_that_is_down_is_told_in_one_line(
    deploy: Any, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/faults.md 63, for deploying: there is nothing to fall back on."""
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), pytest.raises(SystemExit) as ended:
        deploy({"nightly": NIGHTLY})
    assert ended.value.code == 2
    assert "the Prefect server at http://127.0.0.1:9/api does not answer" in (told := refused(capsys))
    assert "Traceback" not in told


def test_without_a_server_nothing_goes_to_a_passing_one(
    deploy: Any, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}), pytest.raises(SystemExit):
        deploy({"nightly": NIGHTLY})
    assert "make flow-ui" in refused(capsys)
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert "declared" in deploy({"nightly": NIGHTLY}, "--dry")
