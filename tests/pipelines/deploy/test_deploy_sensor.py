"""The sensor's flow against a real server: what it remembers, starts and tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, State
from ruamel.yaml import YAML
from stand_in import FileServer, commit, events, git

from pipelines.deploy import memory
from pipelines.deploy.__main__ import main
from pipelines.deploy.sensor import sensor

pytestmark = pytest.mark.servers


@pytest.fixture
def deployed(client: SyncPrefectClient, folder: Path) -> SyncPrefectClient:
    """A deployment `stillhouse/data` that looks at detection's source."""
    trigger = {"source": "detection", "every": "15m", "pool": "local"}
    declared = {"pools": {"local": {"type": "process"}}, "deployments": {"data": {"pool": "local", "trigger": trigger}}}
    path = folder.parent / "file.yaml"
    path.write_text(json.dumps(declared))
    main(["--file", str(path)])
    return client


def point(folder: Path, **values: Any) -> None:
    """Set `detection.data` in params.yaml."""
    yaml = YAML()
    content = yaml.load(folder / "params.yaml")
    content["detection"]["data"].update({"sha256": None, "commit": None, "allow_private": True, **values})
    yaml.dump(content, folder / "params.yaml")


def look(**values: Any) -> State[Any]:
    given = {"task": "detection", "deployment": "stillhouse/data", "settle_s": 0, **values}
    found: State[Any] = sensor(**given, return_state=True)
    return found


def runs(client: SyncPrefectClient) -> list[FlowRun]:
    target = client.read_deployment_by_name("stillhouse/data").id
    return [run for run in client.read_flow_runs() if run.deployment_id == target]


@pytest.fixture
def data(folder: Path) -> Path:
    """A local source."""
    path = folder.parent / "data"
    path.mkdir()
    (path / "a.txt").write_text("one")
    point(folder, source=str(path))
    return path


def test_a_local_source_from_the_first_look_to_the_way_back(deployed: SyncPrefectClient, data: Path) -> None:
    assert look().message == "detection: first look, remembered"
    assert look().message == "detection: no change"
    assert runs(deployed) == []
    (data / "a.txt").write_text("two")
    look()
    (first,) = runs(deployed)
    assert first.state and first.state.is_scheduled()
    assert "new-data" in first.tags
    assert look().message == "detection: no change"
    (data / "a.txt").write_text("one")  # back: a change like any other
    assert str(look().message).startswith("detection: the data source changed; started stillhouse/data as run")
    assert len(runs(deployed)) == 2


def test_a_first_look_starts_a_run_when_asked(deployed: SyncPrefectClient, data: Path) -> None:
    look(at_first_look=True)
    assert len(runs(deployed)) == 1
    look(at_first_look=True)
    assert len(runs(deployed)) == 1


def test_a_look_that_died_before_it_remembered_starts_nothing_twice(deployed: SyncPrefectClient, data: Path) -> None:
    look()
    seen = memory.recall(deployed, "data")
    assert seen
    (data / "a.txt").write_text("two")
    look()
    memory.remember(deployed, "data", seen)  # as if the process had ended between the two
    look()
    assert len(runs(deployed)) == 1


def test_what_cannot_be_seen_is_a_failed_look_and_no_change(deployed: SyncPrefectClient, data: Path) -> None:
    look()
    (data / "a.txt").rename(data.parent / "a.txt")
    state = look()
    assert state.is_failed()
    assert "is it mounted?" in str(state.message)
    (data.parent / "a.txt").rename(data / "a.txt")
    assert look().message == "detection: no change"
    assert runs(deployed) == []


def test_the_deployment_must_be_there(deployed: SyncPrefectClient, data: Path) -> None:
    look()
    (data / "a.txt").write_text("two")
    state = look(deployment="elsewhere/data")
    assert state.is_failed()
    assert "no deployment 'elsewhere/data'" in str(state.message)
    look()  # nothing was remembered: the change is still one
    assert len(runs(deployed)) == 1


def test_broken_params_are_a_failed_look(deployed: SyncPrefectClient, folder: Path) -> None:
    (folder / "params.yaml").write_text("seed: [")
    assert look().is_failed()
    state = look(task="translatio")
    assert state.is_failed()


def test_a_pinned_git_source_tells_its_news_and_starts_at_the_pin(
    deployed: SyncPrefectClient, folder: Path, server: str
) -> None:
    corpus = folder.parent / "corpus"
    corpus.mkdir()
    git(corpus, "init", "--quiet", "--initial-branch=main")
    pinned = commit(corpus)
    point(folder, source=f"file://{corpus}", commit=pinned)
    assert look().message == "detection: first look, remembered"
    newest = commit(corpus)
    told = f"detection: a new version is there; to use it, set in params.yaml detection.data.commit: {newest}"
    assert look().message == told
    assert look().message == "detection: no change"  # told once
    assert runs(deployed) == []
    point(folder, source=f"file://{corpus}", commit=newest)
    assert "changed; started" in str(look().message)
    (run,) = runs(deployed)
    available, changed = events(server, newest)
    assert available["event"] == "stillhouse.source.available"
    assert available["resource"]["prefect.resource.id"] == "stillhouse.source.detection"
    assert available["payload"]["todo"] == {"detection.data.commit": newest}
    assert changed["event"] == "stillhouse.source.changed"
    assert changed["payload"]["before"]["commit"] == pinned
    assert changed["payload"]["after"]["commit"] == newest
    assert changed["payload"]["flow_run"] == str(run.id)


def test_a_changed_archive_is_news_and_a_server_error_is_not(
    deployed: SyncPrefectClient, folder: Path, files: FileServer
) -> None:
    point(folder, source=files.url, sha256="0" * 64)
    assert look().message == "detection: first look, remembered"
    files.status = 503
    state = look()
    assert state.is_failed()
    assert "the server answers 503" in str(state.message)
    files.status = 200
    assert look().message == "detection: no change"
    files.headers["ETag"] = '"2"'
    assert "detection.data.sha256" in str(look().message)
    assert runs(deployed) == []
