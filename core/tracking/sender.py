"""Sends a spool to MLflow from a background thread, in an order and form that may be repeated without duplicates.

Runs are found again by the tag `stillhouse.key` before one is created; metrics carry the time at which they were
logged, and MLflow ignores a point that it has. After an error the thread waits and goes on where it was.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from core import paths
from core.tracking.spool import Spool

if TYPE_CHECKING:
    from mlflow import MlflowClient

HOME = paths.STATE / "mlflow"
KEY = "stillhouse.key"
BATCH = 500
"""Events sent at once: fewer than MLflow's 1,000 metrics a call when each has two."""
POLL_S = 0.5
PAUSES_S = (1, 2, 4, 8, 15)


def uri() -> str:
    """The store: `MLFLOW_TRACKING_URI`, or SQLite below the working directory."""
    # Absolute, since MLflow keeps one store for each URI, whatever the working directory becomes.
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(HOME / 'mlflow.db').resolve()}"


class Thread(threading.Thread):
    """Sends one spool until its end event has been sent."""

    def __init__(self, spool: Spool):
        super().__init__(name="tracking", daemon=True)
        self.spool = spool
        self.problem = ""
        """The last error, empty while all goes well."""
        self._wake, self._stop_now, self._sent = threading.Event(), threading.Event(), threading.Event()

    def finish(self, wait: float) -> bool:
        """Wait at most `wait` seconds until all is sent; then release the spool. Returns: whether all was sent."""
        self._wake.set()
        self._sent.wait(wait)
        self._stop_now.set()
        if self._sent.is_set():
            self.spool.remove()
        self.spool.release()
        return self._sent.is_set()

    def run(self) -> None:
        offset, failures = 0, 0
        sender: Sender | None = None
        while not self._stop_now.is_set():
            try:
                sender = sender or Sender()
                offset, ended = sender.send(self.spool, offset)
            except Exception as error:  # whatever the server or the network does, the stage goes on
                self.problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
                self._stop_now.wait(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1
                continue
            failures, self.problem = 0, ""
            if ended:
                self._sent.set()
                return
            self._wake.wait(POLL_S)


class Sender:
    """One client, one experiment; `send` repeats safely."""

    def __init__(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
        from mlflow import MlflowClient

        for name in ("alembic", "mlflow", "mlflow.store.db.utils"):
            logging.getLogger(name).setLevel(logging.ERROR)  # they tell of every table that is made

        HOME.mkdir(parents=True, exist_ok=True)
        with _creating():
            self.client: MlflowClient = MlflowClient(uri())
            self.experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "stillhouse"))
        self.runs: dict[str, str] = {}

    def send(self, spool: Spool, offset: int) -> tuple[int, bool]:
        """Send what the spool holds from `offset` on. Returns: the offset behind it, and whether the run has ended."""
        start = next(iter(spool.read(0)))[0]
        run_id = self._run(start)
        ended = False
        events = list(spool.read(offset))
        for first in range(0, len(events), BATCH):
            chunk = events[first : first + BATCH]
            self._batch(run_id, [event for event, _ in chunk])
            for event, _ in chunk:
                ended |= self._single(run_id, start, event)
            offset = chunk[-1][1]
        return offset, ended

    def _batch(self, run_id: str, events: list[dict[str, Any]]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        metrics = [
            Metric(name, value, event["time"], event["step"])
            for event in events
            if event["kind"] == "metrics"
            for name, value in event["values"].items()
        ]
        params = [Param(k, v[:6000]) for e in events if e["kind"] == "params" for k, v in e["values"].items()]
        tags = [RunTag(k, v) for e in events if e["kind"] == "tags" for k, v in e["values"].items()]
        for first in range(0, max(len(metrics), 1), 900):
            self.client.log_batch(run_id, metrics[first : first + 900], params[:100], tags[:100])
            params, tags = params[100:], tags[100:]
        while params or tags:
            self.client.log_batch(run_id, [], params[:100], tags[:100])
            params, tags = params[100:], tags[100:]

    def _single(self, run_id: str, start: dict[str, Any], event: dict[str, Any]) -> bool:
        """Events that have a call of their own. Returns: whether this was the end."""
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
        return bool(kind == "end")

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        local = uri().startswith("sqlite:")
        location = (HOME / "artifacts").resolve().as_uri() if local else None
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
            source = f"{self.client.get_run(run_id).info.artifact_uri}/package"
            versions = [self.client.create_model_version(name, source, run_id)]
        self.client.set_tag(run_id, "registered", f"{name} version {versions[0].version}")
        if event["alias"]:
            self.client.set_registered_model_alias(name, event["alias"], versions[0].version)


@contextmanager
def _creating(name: str = "store") -> Iterator[None]:
    """Only one process at a time creates the database's tables, the experiment, or a pipeline's run."""
    folder = paths.STATE / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"tracking-{name}.lock", timeout=120):
        yield
