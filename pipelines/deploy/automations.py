"""Prefect's automations: for each deployment whose crashed runs are started again, one that starts the flow `recovery`
when a run crashes."""

from __future__ import annotations

from collections.abc import Iterator

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from pipelines.deploy.outcome import Outcome

PREFIX = "stillhouse: "
CRASHED = "prefect.flow-run.Crashed"


def register(client: SyncPrefectClient, watched: str, recovery: str, dry: bool) -> Outcome:
    """Create or bring up to date the automation of deployment `watched`, whose runs deployment `recovery` starts
    again; both FLOW/NAME, and on the server unless dry."""
    name = PREFIX + watched
    (there, *_) = (*client.read_automations_by_name(name), None)
    if dry:
        return Outcome(name, "unchanged" if there else "created")
    of, by = client.read_deployment_by_name(watched).id, client.read_deployment_by_name(recovery).id
    related = ResourceSpecification.model_validate(
        {"prefect.resource.role": "deployment", "prefect.resource.id": f"prefect.deployment.{of}"}
    )
    trigger = EventTrigger(expect={CRASHED}, match_related=related, posture=Posture.Reactive, threshold=1)
    start = RunDeployment(
        source="selected", deployment_id=by, parameters={"run": "{{ event.resource.id }}"}, job_variables=None
    )
    wanted = AutomationCore(name=name, trigger=trigger, actions=[start])
    if there is None:
        client.create_automation(wanted)
        return Outcome(name, "created")
    if _plain(there) == _plain(wanted):
        return Outcome(name, "unchanged")
    client.update_automation(there.id, wanted)
    return Outcome(name, "updated", ["trigger or action"])


def undeclared(client: SyncPrefectClient, watched: list[str], dry: bool) -> Iterator[Outcome]:
    """Delete those of deployments that are no longer watched: nobody else has a use for them."""
    wanted = {PREFIX + each for each in watched}
    for found in client.read_automations():
        if found.name.startswith(PREFIX) and found.name not in wanted:
            if not dry:
                client.delete_automation(found.id)
            yield Outcome(found.name, "deleted")


def _plain(automation: AutomationCore) -> object:
    """What is declared of it; a server adds ids."""
    return _without_ids(automation.model_dump(mode="json", include={"name", "trigger", "actions"}))


def _without_ids(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_ids(each) for key, each in value.items() if key != "id"}
    if isinstance(value, list):
        plain = [_without_ids(each) for each in value]
        return sorted(plain, key=str) if all(isinstance(each, str) for each in plain) else plain
    return value
