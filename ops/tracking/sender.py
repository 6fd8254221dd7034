"""Sends a spool to MLflow in an order and form that may be repeated without duplicates.

Runs are found again by the tag `stillhouse.key` before one is created; metrics carry the time at which they were
logged, and MLflow ignores a point that it has. What MLflow refuses for good (a param that changed its value) goes to
`.stillhouse/spool/refused.log` with a warning, and does not hold up the rest.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from core.address import public
from ops.tracking import pipeline, relocation
from ops.tracking.spool import FOLDER, Spool

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY = "stillhouse.key"
MODEL = "model"
"""Name of the artifact that becomes a version of a registered model."""
BATCH = 500
"""Events between two looks at how far the sending is."""
LIMITS = {"metrics": 800, "params": 100, "tags": 100}
"""Entities of a kind in one request: MLflow takes 1,000 in all, 100 params and 100 tags."""
LENGTHS = {"params": 6000, "tags": 8000}
"""Characters of a value that MLflow keeps."""
REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
ABSENT = ("RESOURCE_DOES_NOT_EXIST", *REFUSALS)


def uri() -> str:
    """The store: `MLFLOW_TRACKING_URI`, or SQLite below the working directory."""
    # Absolute, since MLflow keeps one store for each URI, whatever the working directory becomes.
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{relocation.HOME.resolve() / relocation.DATABASE}"


def database() -> Path | None:
    """The file of a store in SQLite, None for a server."""
    kind, _, path = uri().partition(":///")
    return Path(path.partition("?")[0]) if kind.startswith("sqlite") and path else None


def embedded() -> Path | None:
    """Folder of a checkout's own store: of this one, or, in a trial, of the one that searches; None for a store of the
    user's, whose places are the user's, too."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return relocation.HOME.resolve()
    file = database()
    own = (relocation.HOME / relocation.DATABASE).parts
    return file.parent if file is not None and file.is_absolute() and file.parts[-len(own) :] == own else None


def bring_home() -> None:
    """Before MLflow opens the store of a checkout: let it lead to the artifacts of that checkout, told in one line.

    Raises: StillhouseError, see `relocate`.
    """
    if (home := embedded()) is not None:
        with _creating():
            told = relocation.relocate(home)
        if told:
            print(told, file=sys.stderr)


def place() -> str:
    """`uri` for messages."""
    return without_password(uri())


def without_password(text: str) -> str:
    """MLflow's errors repeat the whole URL."""
    return public(text)


def keep_private() -> None:
    """Before MLflow is imported: it tells nobody that it is used."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")


class Sender:
    """One client, one experiment; `send` repeats safely."""

    def __init__(self) -> None:
        keep_private()
        # MLflow would repeat a POST whose answer was lost and so create a run twice; the courier looks it up first.
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
        from mlflow import MlflowClient

        for name in ("alembic", "mlflow", "mlflow.store.db.utils"):
            logging.getLogger(name).setLevel(logging.ERROR)  # they tell of every table that is made

        relocation.HOME.mkdir(parents=True, exist_ok=True)
        bring_home()
        with _creating():
            self.client: MlflowClient = MlflowClient(uri())
            self.experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "stillhouse"))
        self.runs: dict[str, str] = {}
        self.offsets: dict[str, int] = {}
        """How far each spool has been sent, by its key."""

    def send(self, spool: Spool) -> bool:
        """Send what the spool holds and was not sent yet. Returns: whether the run has ended."""
        from mlflow.exceptions import MlflowException

        start = spool.start
        assert start is not None  # a spool begins with it
        run_id = self._run(start)
        events = spool.read(self.offsets.get(spool.key, 0))
        ended = False
        while chunk := list(islice(events, BATCH)):
            for kind in LIMITS:
                self._log(run_id, kind, _entities(kind, [event for event, _ in chunk]))
            for event, _ in chunk:
                try:
                    self._single(run_id, start, event)
                except MlflowException as error:
                    self._refuse(run_id, event, error)
                ended |= event["kind"] == "end"
            self.offsets[spool.key] = chunk[-1][1]
        return ended

    def _log(self, run_id: str, kind: str, entities: list[Any]) -> None:
        """Log metrics, params or tags; one that MLflow refuses is found by halving and left out."""
        from mlflow.exceptions import MlflowException

        for first in range(0, len(entities), LIMITS[kind]):
            part = entities[first : first + LIMITS[kind]]
            try:
                self.client.log_batch(run_id, **{kind: part})
            except MlflowException as error:
                if len(part) == 1:
                    self._refuse(run_id, {kind: {part[0].key: part[0].value}}, error)
                elif error.error_code in REFUSALS:
                    self._log(run_id, kind, part[: len(part) // 2])
                    self._log(run_id, kind, part[len(part) // 2 :])
                else:
                    raise

    def _refuse(self, run_id: str, what: dict[str, Any], error: Any) -> None:
        """Keep what MLflow will never take. Raises: `error` when it may take it later."""
        if error.error_code not in REFUSALS or self._gone(run_id):
            raise error
        why = str(error).splitlines()[0][:300]
        key = next((key for key, known in self.runs.items() if known == run_id), run_id)
        with (FOLDER / "refused.log").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"run": key, "refused": what, "why": why}, ensure_ascii=False) + "\n")
        print(f"warning: MLflow refuses {what}: {why}; kept in {FOLDER / 'refused.log'}", file=sys.stderr)

    def _gone(self, run_id: str) -> bool:
        """Whether somebody deleted the run, or its experiment, meanwhile: then nothing of it is refused for good."""
        run = self.client.get_run(run_id)
        if run.info.lifecycle_stage == "active":
            return False
        self.runs = {key: known for key, known in self.runs.items() if known != run_id}
        return True

    def _single(self, run_id: str, start: dict[str, Any], event: dict[str, Any]) -> None:
        """Events that have a call of their own."""
        kind = event["kind"]
        if kind == "artifacts":
            self._artifacts(run_id, Path(event["path"]), start["key"])
        elif kind == "dataset":
            self._dataset(run_id, event)
        elif kind == "links":
            self._links(start, event["values"])
        elif kind == "register":
            self._register(run_id, event)
        elif kind == "end":
            self.client.set_terminated(run_id, event["status"], event["time"])
            if parent := start.get("parent"):
                self._close_parent(parent, event)

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            if found.lifecycle_stage != "active":
                self.client.restore_experiment(found.experiment_id)  # MLflow keeps the name of a deleted one taken
            return str(found.experiment_id)
        file = database()  # beside it, also where the store is not this checkout's own: a copy would write here
        location = (file.resolve().parent / relocation.ARTIFACTS).as_uri() if file is not None else None
        return str(self.client.create_experiment(name, artifact_location=location))

    def _run(self, start: dict[str, Any]) -> str:
        """The MLflow id of a spooled run, created at most once, below its pipeline's run."""
        if start["key"] in self.runs:
            return self.runs[start["key"]]
        parent = start.get("parent")
        tags = {"mlflow.source.name": start["name"], "mlflow.user": os.environ.get("USER", "stillhouse")}
        if parent:
            tags["mlflow.parentRunId"] = self._parent(parent, start["time"])
        self.runs[start["key"]] = self._find(start["key"]) or self._create(start, tags)
        return self.runs[start["key"]]

    def _parent(self, parent: dict[str, str], time_ms: int) -> str:
        if parent["key"] not in self.runs:
            with _creating(parent["key"]):  # two stages that start together share one parent
                found = self._find(parent["key"]) or self._create({**parent, "time": time_ms}, {})
            self.runs[parent["key"]] = found
            pipeline.describe(parent["key"], mlflow={"run": found, "experiment": self.experiment})
        return self.runs[parent["key"]]

    def _find(self, key: str) -> str | None:
        found = self.client.search_runs([self.experiment], f"tags.`{KEY}` = '{key}'", max_results=1)
        return str(found[0].info.run_id) if found else None

    def _create(self, start: dict[str, Any], tags: dict[str, str]) -> str:
        tags = {KEY: start["key"], **tags}
        return str(self.client.create_run(self.experiment, start["time"], tags, start["name"]).info.run_id)

    def _close_parent(self, parent: dict[str, str], event: dict[str, Any]) -> None:
        """The pipeline's run ends with its last stage so far, and has failed when one has."""
        run_id = self._parent(parent, event["time"])
        for key, value in pipeline.described(parent["key"]).get("tags", {}).items():
            self.client.set_tag(run_id, key, value)
        failed = self.client.get_run(run_id).data.tags.get("failed") == "true" or event["status"] != "FINISHED"
        if failed:
            self.client.set_tag(run_id, "failed", "true")
        self.client.set_terminated(run_id, "FAILED" if failed else "FINISHED", event["time"])

    def _artifacts(self, run_id: str, path: Path, key: str) -> None:
        if not path.exists():
            return  # sent before a crash
        parts = path.parts[path.parts.index(key) + 1 :]
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), "/".join(parts))
        else:
            self.client.log_artifact(run_id, str(path), "/".join(parts[:-1]) or None)

    def _dataset(self, run_id: str, event: dict[str, Any]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(event["name"], event["digest"], "dvc", event["path"])
        self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", event["name"])])])

    def _links(self, start: dict[str, Any], restored: dict[str, str]) -> None:
        """Stages that DVC restored: the pipeline's run names the runs that made them."""
        if not start.get("parent"):
            return
        parent = self._parent(start["parent"], start["time"])
        for stage, key in restored.items():
            self.client.set_tag(parent, f"restored.{stage.replace('@', '/')}", self._find(key) or key)

    def _register(self, run_id: str, event: dict[str, Any]) -> None:
        from mlflow.exceptions import MlflowException

        name = event["name"]
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        versions = self.client.search_model_versions(f"run_id = '{run_id}' and name = '{name}'")
        if not versions:
            source = f"{self.client.get_run(run_id).info.artifact_uri}/{MODEL}"
            versions = [self.client.create_model_version(name, source, run_id)]
        self.client.set_tag(run_id, "registered", f"{name} version {versions[0].version}")
        if event["alias"] and not self._newer(name, event["alias"], run_id):
            self.client.set_registered_model_alias(name, event["alias"], versions[0].version)

    def _newer(self, name: str, alias: str, run_id: str) -> bool:
        """Whether the alias stands on the version of a later run: a late replay must not move it back."""
        from mlflow.exceptions import MlflowException

        try:
            present = self.client.get_model_version_by_alias(name, alias).run_id
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            return False
        if not present or present == run_id:
            return False
        return bool(self.client.get_run(present).info.start_time > self.client.get_run(run_id).info.start_time)


def _entities(kind: str, events: list[dict[str, Any]]) -> list[Any]:
    """MLflow's objects for all events of a kind."""
    from mlflow.entities import Metric, Param, RunTag

    pairs = [(event, *pair) for event in events if event["kind"] == kind for pair in event["values"].items()]
    if kind == "metrics":
        return [Metric(name, value, event["time"], event["step"]) for event, name, value in pairs]
    entity = Param if kind == "params" else RunTag
    return [entity(name, str(value)[: LENGTHS[kind]]) for _, name, value in pairs]


@contextmanager
def _creating(name: str = "store") -> Iterator[None]:
    """Only one process at a time creates the database's tables, the experiment, or a pipeline's run."""
    folder = (embedded() or relocation.HOME).parent / "locks"  # one for all who share the store of a checkout
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"tracking-{name}.lock", timeout=120):
        yield
