"""`make stack-run` follows a run on a real server: its log once and in order, each line with its stage, its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import LogCreate
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Completed

from core.errors import StillhouseError
from pipelines.deploy import stack

pytestmark = pytest.mark.servers

LINES = 450  # more than two of the server's pages


@flow(name="followed")
def followed() -> None: ...


@task(name="stage")
def stage() -> None: ...


@pytest.fixture
def run(client: SyncPrefectClient) -> FlowRun:
    """Over, with a log."""
    run = client.create_flow_run(followed)
    of_stage = client.create_task_run(stage, run.id, dynamic_key="0", name="train@detection")
    said = [(None, "Beginning"), (of_stage.id, "epoch 1"), (of_stage.id, "train@detection: best 0.4")]
    said.append((uuid4(), "of a task run that the server does not know yet"))  # they come later than their logs
    said += [(None, f"line {number}") for number in range(LINES)]
    began = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    logs = [
        LogCreate(
            name="test",
            level=20,
            message=message,
            timestamp=began + timedelta(milliseconds=number),
            flow_run_id=run.id,
            task_run_id=of,
        )
        for number, (of, message) in enumerate(said)
    ]
    client.create_logs(logs)
    return run


def test_every_line_once_and_in_order_with_its_stage(
    client: SyncPrefectClient, run: FlowRun, capsys: pytest.CaptureFixture[str]
) -> None:
    client.set_flow_run_state(run.id, Completed(message="all of it"), force=True)
    state = stack.follow(client, run.id)
    assert state.is_completed() and state.message == "all of it"
    assert capsys.readouterr().out.splitlines() == [
        "03:04:05 Beginning",
        "03:04:05 train@detection: epoch 1",
        "03:04:05 train@detection: best 0.4",
        "03:04:05 of a task run that the server does not know yet",
        *[f"03:04:05 line {number}" for number in range(LINES)],
    ]


def test_a_run_that_is_cancelled_ends_the_following(client: SyncPrefectClient, run: FlowRun) -> None:
    client.set_flow_run_state(run.id, Cancelled(), force=True)
    assert stack.follow(client, run.id).is_cancelled()


def test_a_server_that_stays_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "OUTAGE_S", 0.0)
    monkeypatch.setattr(stack, "POLL_S", 0.01)
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        get_client(sync_client=True) as nobody,
        pytest.raises(StillhouseError, match=r"does not answer .*; the run may still go on"),
    ):
        stack.follow(nobody, uuid4())
