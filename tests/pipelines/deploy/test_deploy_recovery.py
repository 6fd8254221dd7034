"""Crashed runs that are started again: by Prefect's automations, a real worker, and processes that are killed."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events import emit_event
from prefect.states import Crashed, Failed, Running
from prefect_server import PrefectServer
from stand_in import commit, environment
from warm import Warm

from pipelines.deploy import recovery
from pipelines.deploy.__main__ import main
from pipelines.deploy.recovery import look

pytestmark = pytest.mark.servers

RULE = {"pool": "sensors", "times": 2, "wait": "1s"}
POOLS = {"local": {"type": "process"}, "sensors": {"type": "process"}}
KILLED = '''"""Is killed as often as KILLS says; writes down each start."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from prefect import flow


@flow(name="stillhouse")
def pipeline(
    targets: list[str] | None = None, jobs: int = 0, gpus: int = -1, force: bool = False, downstream: bool = False
) -> str:
    starts = Path(os.environ["STARTS"])
    with starts.open("a") as file:
        file.write("started\\n")
    if targets:
        raise ValueError("a stage failed")
    if len(starts.read_text().splitlines()) <= jobs:
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"
'''


@pytest.fixture
def deployed(client: SyncPrefectClient, folder: Path) -> Callable[..., None]:
    def call(**more: Any) -> None:
        path = folder.parent / "file.yaml"
        hand = {"hand": {"pool": "local", "crashed": RULE, **more}}
        path.write_text(json.dumps({"pools": POOLS, "deployments": hand}))
        main(["--file", str(path)])

    return call


def run_of(client: SyncPrefectClient, name: str = "stillhouse/hand", **parameters: Any) -> FlowRun:
    return client.create_flow_run_from_deployment(client.read_deployment_by_name(name).id, parameters=parameters)


def ended(client: SyncPrefectClient, run: FlowRun, state: Any) -> None:
    client.set_flow_run_state(run.id, Running(), force=True)
    client.set_flow_run_state(run.id, state, force=True)


def state_of(client: SyncPrefectClient, run: FlowRun) -> Any:
    return client.read_flow_run(run.id).state


def test_automations_stand_while_they_are_declared(
    deployed: Callable[..., None], client: SyncPrefectClient, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed()
    names = {each.name: each.id for each in client.read_automations()}
    assert set(names) == {"stillhouse: stillhouse/hand"}
    again = client.read_deployment_by_name("recovery/hand")
    assert again.parameters == {"deployment": "stillhouse/hand", "times": 2, "wait_s": 1}
    capsys.readouterr()
    deployed()
    assert {each.name: each.id for each in client.read_automations()} == names
    assert "updated" not in capsys.readouterr().out
    deployed(crashed=None)
    assert client.read_automations() == []


def test_a_crashed_run_goes_on_at_most_so_often_and_a_failed_one_never(
    deployed: Callable[..., None], client: SyncPrefectClient, prefect: PrefectServer
) -> None:
    deployed()
    failed, run = run_of(client), run_of(client)
    ended(client, failed, Failed(message="a stage"))
    for time_ in (1, 2):
        ended(client, run, Crashed(message="killed"))
        said = look(client, "stillhouse/hand", 2, 60.0)
        assert said == f"{run.name}: started again in {60 * time_} s, {time_} of 2 times"
        state = state_of(client, run)
        assert (state.type, state.name) == (StateType.SCHEDULED, "AwaitingRetry")
        assert look(client, "stillhouse/hand", 2, 60.0) == "stillhouse/hand: no crashed run"
    ended(client, run, Crashed(message="killed"))
    for _ in range(2):  # the look of the schedule does not tell it again
        assert look(client, "stillhouse/hand", 2, 60.0).endswith("crashed 3 times, not started again")
    look(client, "stillhouse/hand", 2, 60.0, str(run.id))
    assert state_of(client, run).is_crashed() and state_of(client, failed).is_failed()
    assert sorted(prefect.log(str(run.id))) == [
        "crashed (killed); started again in 120 s, 2 of 2 times",
        "crashed (killed); started again in 60 s, 1 of 2 times",
        "crashed 3 times (killed); not started again, `times` is 2",
    ]


@pytest.fixture
def worked(deployed: Callable[..., None], folder: Path, server: str, warm: Warm) -> Any:
    """Lets a worker of each pool take what is due, until a run is as expected. Returns: how often the flow began."""
    (folder / "pipelines" / "flow" / "prefect_flow.py").write_text(KILLED)
    for name in ("core", "pipelines"):
        source = Path(recovery.__file__).parents[2] / name
        for file in source.rglob("*.py"):
            target = folder / file.relative_to(source.parent)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
    commit(folder)
    starts = folder.parent / "starts"
    mine = {**environment(server, folder.parent), "STARTS": str(starts)}

    def work(pool: str) -> None:
        place = folder.parent / f"worker-{pool}"
        place.mkdir(exist_ok=True)
        words = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--run-once"]
        done = warm.run(words, cwd=place, env=mine, timeout=400)
        assert done.returncode == 0, done.stdout + done.stderr

    def until(client: SyncPrefectClient, run: FlowRun, expected: Callable[[Any], bool]) -> int:
        end = time.monotonic() + 1200
        while True:
            work("local")
            if expected(state := state_of(client, run)):
                return len(starts.read_text().splitlines())
            assert time.monotonic() < end, state
            work("sensors")
            time.sleep(1)

    return until


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_killed_run_is_started_again_by_the_automation(
    deployed: Callable[..., None], worked: Any, client: SyncPrefectClient, prefect: PrefectServer
) -> None:
    deployed()
    run = run_of(client, jobs=2)  # killed twice
    assert worked(client, run, lambda state: state.is_completed()) == 3
    names = Counter(state.name for state in client.read_flow_run_states(run.id))
    assert (names["Crashed"], names["AwaitingRetry"], names["Completed"]) == (2, 2, 1)
    told = [line for line in prefect.log(str(run.id)) if "started again in" in line]
    assert len(told) == 2 and all("of 2 times" in line for line in told), told
    (mine,) = [each for each in client.read_flow_runs(limit=200) if each.deployment_id == run.deployment_id]
    assert mine.id == run.id  # the same run went on; none was made beside it


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_failed_run_is_left_alone(deployed: Callable[..., None], worked: Any, client: SyncPrefectClient) -> None:
    deployed()
    run = run_of(client, targets=["a stage that fails"])
    assert worked(client, run, lambda state: state.is_failed()) == 1
    time.sleep(5)  # for an automation that should not have been
    names = [state.name for state in client.read_flow_run_states(run.id)]
    assert "AwaitingRetry" not in names and names[-1] == "Failed"


def test_a_run_that_gives_no_sign_of_life_goes_on(
    deployed: Callable[..., None], client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a machine that is switched off leaves it. The sign is sent by hand, as Prefect's flow engine does."""
    deployed()
    lost, mute = run_of(client), run_of(client)
    for run in (lost, mute):
        client.set_flow_run_state(run.id, Running(), force=True)
    emit_event(event=recovery.SIGN, resource={"prefect.resource.id": f"{recovery.RUN}{lost.id}"})
    end = time.monotonic() + 60
    monkeypatch.setattr(recovery, "SILENT", timedelta(0))
    while not recovery._silent(client, client.read_flow_run(lost.id)):  # the server stores it a little later
        assert time.monotonic() < end
        time.sleep(0.2)
    monkeypatch.setattr(recovery, "SILENT", timedelta(minutes=10))
    assert look(client, "stillhouse/hand", 2, 60.0) == "stillhouse/hand: no crashed run"
    monkeypatch.setattr(recovery, "SILENT", timedelta(0))
    assert look(client, "stillhouse/hand", 2, 60.0) == f"{lost.name}: started again in 60 s, 1 of 2 times"
    assert state_of(client, lost).name == "AwaitingRetry" and state_of(client, mute).is_running()
    assert "no sign of life" in state_of(client, lost).message
