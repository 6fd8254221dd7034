"""What a sensor has seen, kept on the server as a Prefect variable, so that any worker may take the next look."""

from __future__ import annotations

from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate


def recall(client: SyncPrefectClient, deployment: str) -> dict[str, Any] | None:
    """What the sensor of a deployment saw last, None before its first look."""
    found = client.read_variable_by_name(_name(deployment))
    return dict(found.value) if found and isinstance(found.value, dict) else None


def remember(client: SyncPrefectClient, deployment: str, seen: dict[str, Any]) -> None:
    name = _name(deployment)
    if client.read_variable_by_name(name):
        client.update_variable(VariableUpdate(name=name, value=seen, tags=["stillhouse"]))
    else:
        client.create_variable(VariableCreate(name=name, value=seen, tags=["stillhouse"]))


def forget(client: SyncPrefectClient, deployment: str) -> None:
    if client.read_variable_by_name(_name(deployment)):
        client.delete_variable_by_name(_name(deployment))


def _name(deployment: str) -> str:
    return f"stillhouse-source-{deployment}"
