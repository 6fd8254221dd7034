"""What hosts and planners ask of Prefect's server, over its REST API: https://docs.prefect.io/v3/api-ref/rest-api."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from core.address import public
from core.errors import StillhouseError
from pipelines.flow import access, server
from pipelines.flow.hosts.order import Handback, Offer, Order, Seen

TYPE = "stillhouse-hosts"
"""Of the work pool: no worker of Prefect's own takes its runs."""
FLOW = "stage"
TAG = "stillhouse-stage"
ARTIFACT = "stillhouse-handback"
NOT_OVER = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
PAGE = 200
BUSY = (408, 429, 503)
BUSY_WAITS_S = (0.3, 0.7, 1.5)
DESCRIPTION = (
    "Stages of DVC pipelines, run by the hosts of this pool (docs/cluster.md). A run's parameters are all of it."
)


CLOSED = {"type": "object", "properties": {}, "additionalProperties": False}
"""The schema of job variables: none."""


class LostError(Exception):
    """The server does not answer."""


class Contact:
    """Says once that the server does not answer, and once that it does again."""

    def __init__(self, say: Callable[[str], None], meanwhile: str):
        """say: takes a sentence for the user; meanwhile: what goes on, the end of the first of the two."""
        self._say, self._meanwhile = say, meanwhile
        self.lost = False
        """Whether the last block ended since the server did not answer."""

    @contextmanager
    def kept(self) -> Iterator[None]:
        """The block ends where the server does not answer."""
        try:
            yield
        except LostError as error:
            if not self.lost:
                self._say(f"the Prefect server does not answer ({error}); {self._meanwhile}")
            self.lost = True
        else:
            if self.lost:
                self._say("the Prefect server answers again")
            self.lost = False


def connect() -> str:
    """Let Prefect in this process talk to the configured server, else to that of this repository's `make flow-ui`.

    To be called before Prefect is imported. Returns: the address. Raises: StillhouseError.
    """
    url = server.configured() or access.running()
    if not url:
        raise StillhouseError(
            "hosts meet at a Prefect server: name it by PREFECT_API_URL (and PREFECT_API_AUTH_STRING, if it asks for a "
            "password)"
        )
    os.environ.update({"PREFECT_API_URL": url, **server.QUIET, **access.client(url)})
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    if not server.answers(url):
        raise StillhouseError(f"the Prefect server at {public(url)} does not answer; is it running?")
    return url


class Api:
    """The server, as far as hosts and planners need it. One thread at a time.

    Its functions raise `LostError` when the server does not answer, or answers that it cannot now.
    """

    def __init__(self, pool: str):
        from prefect.client.orchestration import get_client  # noqa: PLC0415 - two seconds, after `connect`

        self.pool = pool
        self._client: Any = get_client(sync_client=True)
        self._client.__enter__()

    def close(self) -> None:
        self._client.__exit__(None, None, None)

    @contextmanager
    def once(self) -> Iterator[None]:
        """Within the block, in this thread, Prefect's client does not ask again by itself, which takes it a minute."""
        from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings  # noqa: PLC0415

        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            yield

    # The pool

    def prepare(self) -> None:
        """Make the pool and the deployment that its runs are of, or bring them up to date.

        Raises: StillhouseError for a pool of another type.
        """
        found = self._ask("GET", f"/work_pools/{self.pool}", missing=None)
        template = {"job_configuration": {"env": {}}, "variables": CLOSED}  # Prefect wants a key there
        if found is None:
            fields = {"name": self.pool, "type": TYPE, "description": DESCRIPTION, "base_job_template": template}
            self._ask("POST", "/work_pools/", conflict=None, **fields)
        elif found["type"] != TYPE:
            raise StillhouseError(
                f"the work pool {self.pool!r} is of type {found['type']}, not of hosts; choose another name"
            )
        flow = self._ask("POST", "/flows/", name=FLOW)
        self._ask(
            "POST",
            "/deployments/",
            name=self.pool,
            flow_id=flow["id"],
            work_pool_name=self.pool,
            parameter_openapi_schema=Order.model_json_schema(),
            enforce_parameter_schema=True,
            description=DESCRIPTION,
            tags=[TAG],
        )

    def deployment(self) -> str | None:
        """Id of the deployment; None where no host has ever been in the pool."""
        found = self._ask("GET", f"/deployments/name/{FLOW}/{self.pool}", missing=None)
        return str(found["id"]) if found else None

    def offer(self, host: str, offer: Offer) -> None:
        """Tell what a host has to give: its work queue says so."""
        queue = {"description": offer.model_dump_json(), "is_paused": False}
        if self._ask("POST", f"/work_pools/{self.pool}/queues", conflict=None, name=host, **queue) is None:
            self._ask("PATCH", f"/work_pools/{self.pool}/queues/{host}", **queue)

    def beat(self, host: str, interval_s: float) -> None:
        """A host's sign of life."""
        path = f"/work_pools/{self.pool}/workers/heartbeat"
        self._ask("POST", path, name=host, heartbeat_interval_seconds=int(interval_s))

    def hosts(self) -> Iterator[Seen]:
        """The hosts of the pool that have ever been."""
        workers = {each["name"]: each for each in self._pages(f"/work_pools/{self.pool}/workers/filter")}
        for queue in self._pages(f"/work_pools/{self.pool}/queues/filter"):
            if found := workers.get(queue["name"]):
                try:
                    offer = Offer.model_validate_json(queue["description"] or "")
                except ValueError:  # somebody else's queue
                    continue
                yield Seen(queue["name"], offer, str(found["last_heartbeat_time"]), found["status"] == "ONLINE")

    def online(self, host: str) -> bool:
        """Whether the server believes that a host of this name is at work."""
        found = self._pages(f"/work_pools/{self.pool}/workers/filter")
        return any(each["name"] == host and each["status"] == "ONLINE" for each in found)

    # Runs, by planners

    def submit(self, deployment: str, host: str, order: Order, key: str, tags: Sequence[str]) -> str:
        """Order an attempt of a host. key: of the attempt, which is created once. Returns: its id."""
        run = self._ask(
            "POST",
            f"/deployments/{deployment}/create_flow_run",
            name=order.stage,
            parameters=order.model_dump(mode="json", exclude_defaults=True),
            work_queue_name=host,
            idempotency_key=key,
            tags=[TAG, *tags],
            state={"type": "SCHEDULED"},
        )
        return str(run["id"])

    def states(self, runs: Sequence[str]) -> dict[str, str]:
        """Type of each run's state: `SCHEDULED`, `RUNNING`, `COMPLETED`, ... A run that was deleted is left out."""
        return {run["id"]: str(run["state_type"]) for run in self._runs({"id": {"any_": list(runs)}})} if runs else {}

    def open_runs(self, tag: str = "", host: str = "") -> list[str]:
        """Runs of the pool that are not over: those with a tag, or of one host."""
        chosen: dict[str, Any] = {"state": {"type": {"any_": list(NOT_OVER)}}, "tags": {"all_": [tag or TAG]}}
        more: dict[str, Any] = {"work_pools": {"name": {"any_": [self.pool]}}}
        if host:
            more["work_pool_queues"] = {"name": {"any_": [host]}}
        return [str(run["id"]) for run in self._runs(chosen, **more)]

    def set_state(self, run: str, kind: str, message: str = "", *, force: bool = False) -> bool:
        """Returns: whether the server took it."""
        state = {"type": kind, "message": message}
        done = self._ask("POST", f"/flow_runs/{run}/set_state", missing=None, state=state, force=force)
        return done is not None and done["status"] == "ACCEPT"

    def log(self, run: str, position: int) -> list[str]:
        """Pieces of a run's log from number `position` on, a page of them."""
        chosen = {"flow_run_id": {"any_": [run]}}
        found = self._ask("POST", "/logs/filter", logs=chosen, limit=PAGE, offset=position, sort="TIMESTAMP_ASC")
        return [str(each["message"]) for each in found]

    def handback(self, run: str) -> Handback | None:
        """What a host handed back of a run; None where it did not, or nothing that can be read."""
        chosen = {"flow_run_id": {"any_": [run]}, "type": {"any_": [ARTIFACT]}}
        for found in self._ask("POST", "/artifacts/filter", artifacts=chosen, limit=1):
            try:
                return Handback.model_validate(found["data"])
            except ValueError:
                return None
        return None

    # Runs, by hosts

    def due(self, host: str) -> list[tuple[str, dict[str, Any]]]:
        """Runs that wait for a host, the oldest first: id and parameters."""
        soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()  # clocks differ, and none of ours is for later
        path = f"/work_pools/{self.pool}/get_scheduled_flow_runs"
        found = self._ask("POST", path, work_queue_names=[host], scheduled_before=soon)
        runs = [each["flow_run"] for each in found]
        return [(str(run["id"]), dict(run["parameters"])) for run in sorted(runs, key=lambda run: str(run["created"]))]

    def tell(self, run: str, text: str, moment: datetime) -> None:
        """Append to a run's log. moment: later than that of the piece before."""
        entry = {"name": TAG, "level": 20, "message": text, "timestamp": moment.isoformat(), "flow_run_id": run}
        self._ask("POST", "/logs/", _body=[entry])

    def hand_back(self, run: str, handback: Handback) -> None:
        self._ask("POST", "/artifacts/", type=ARTIFACT, flow_run_id=run, data=handback.model_dump(mode="json"))

    # The wire

    def _runs(self, chosen: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        return list(self._pages("/flow_runs/filter", flow_runs=chosen, **more))

    def _pages(self, path: str, **body: Any) -> Iterator[dict[str, Any]]:
        offset = 0
        while page := self._ask("POST", path, limit=PAGE, offset=offset, **body):
            yield from page
            if len(page) < PAGE:
                return
            offset += len(page)

    def _ask(self, method: str, path: str, _body: Any = None, **body: Any) -> Any:
        """The answer as JSON. missing=, conflict=: what to return where there is no such thing, or there is already."""
        instead = {404: "missing", 409: "conflict"}
        special = {code: body.pop(name) for code, name in instead.items() if name in body}
        answer = self._answer(method, path, (body or None) if _body is None else _body)
        if answer.status_code in special:
            return special[answer.status_code]
        if answer.status_code in BUSY or answer.status_code >= 500:
            raise LostError(f"it answered {answer.status_code}")
        if answer.status_code >= 400:
            raise StillhouseError(f"Prefect refuses {method} {path} ({answer.status_code}): {answer.text[:500]}")
        return answer.json() if answer.content else True

    def _answer(self, method: str, path: str, body: Any) -> Any:
        """Whatever the server answers; one that is busy, as SQLite under load is, is asked again in a moment."""
        import httpx  # noqa: PLC0415

        for wait_s in (*BUSY_WAITS_S, None):
            try:
                return self._client.request(method, path, json=body)
            except httpx.HTTPStatusError as error:
                if error.response.status_code not in BUSY or wait_s is None:
                    return error.response
            except httpx.HTTPError as error:
                raise LostError(public(f"{type(error).__name__}: {error}")) from None
            time.sleep(wait_s)
        raise AssertionError("the last try returns")
