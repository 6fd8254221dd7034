"""Tracking: every stage execution is one MLflow run, grouped under one parent run per pipeline execution.

What a stage logs is written to a local spool first and sent to MLflow by another process (`courier`), so a server that
is down, slow or failing costs a warning and a retry, never a figure or a trained model. What could not be sent is sent
by the next run, or by `python -m ops.tracking`.

    MLFLOW_TRACKING_URI          the store; default: SQLite and a folder below .stillhouse/mlflow
    MLFLOW_EXPERIMENT_NAME       default: stillhouse
    STILLHOUSE_PIPELINE_RUN      key of the pipeline execution; default: of the `dvc repro` above this process
    STILLHOUSE_PIPELINE_NAME     name of its run, default: pipeline
    STILLHOUSE_TRACKING_WAIT     seconds a finished stage waits for the server, default 30
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from core import lineage
from core.address import public
from ops import image
from ops.tracking import ledger, pipeline, spool, system
from ops.tracking.courier import ENVIRONMENT, Courier, courier_for, present, silence
from ops.tracking.sender import MODEL, bring_home, place, uri

__all__ = [
    "Nowhere",
    "Run",
    "bring_home",
    "describe_pipeline",
    "pipeline_link",
    "place",
    "replay",
    "sending",
    "silence",
    "start",
    "uri",
]

WAIT_S = 30.0
WAIT_KILLED_S = 5.0
"""After SIGTERM: whoever sent it will not wait long before SIGKILL, and the spool keeps what is left."""
SMALL = 5 * 10**6
"""Files of a stage's output up to this many bytes go to MLflow as artifacts."""
SHOWN = (".json", ".md", ".html", ".png", ".csv")


class Nowhere:
    """Takes the place of a spool where nothing is to be logged: in the second and further processes of a training."""

    key = ""

    def write(self, kind: str, **values: Any) -> None:
        """Forget it."""

    def keep(self, path: Path, folder: str) -> Path:
        return path


class Run:
    """What a stage logs to. Nothing here waits for, or fails because of, the tracking server."""

    def __init__(self, file: spool.Spool | Nowhere):
        self._spool = file
        self.key = file.key
        """Identifies the run offline; in MLflow it is the tag `stillhouse.key`."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Nested mappings become dotted keys."""
        self._spool.write("params", values={spelt(k): str(v) for k, v in flatten(values).items()})

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """step: of training; None is step 0. Names are `spelt`."""
        plain = {spelt(name): float(value) for name, value in values.items()}
        self._spool.write("metrics", values=plain, step=step or 0, time=now())

    def tag(self, key: str, value: str) -> None:
        self._spool.write("tags", values={spelt(key): value})

    def note(self, text: str) -> None:
        """Markdown shown on the run's page."""
        self.tag("mlflow.note.content", text)

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Log a file, or a folder with all it holds, as it is now (a copy waits in the spool)."""
        copy = self._spool.keep(path, folder or "")
        self._spool.write("artifacts", path=str(copy))

    def dataset(self, name: str, path: Path) -> None:
        """An input dataset; its digest is DVC's md5."""
        digest = lineage.dvc_md5(path) or lineage.digest(path)
        self._spool.write("dataset", name=name, path=str(path), digest=digest.removesuffix(".dir"))

    def outputs(self, folder: Path) -> None:
        """Record where the stage's output lies, how large it is, and its small readable files."""
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        self.tag("output", str(folder))
        self.metrics({"output_mb": sum(path.stat().st_size for path in files) / 1e6})
        for path in files:
            if path.parent == folder and path.suffix in SHOWN and path.stat().st_size <= SMALL:
                self.artifact(path)

    def register(self, folder: Path, name: str, alias: str | None) -> None:
        """Log `folder`, an MLflow model, as artifact `model` and register it as a new version of model `name`.

        alias: is moved to the new version, e.g. `champion`; None leaves aliases alone.
        """
        copy = self._spool.keep(folder, MODEL)
        self._spool.write("artifacts", path=str(copy))
        self._spool.write("register", name=name, alias=alias)


@contextmanager
def start(name: str, head: Any, params: Any) -> Iterator[Run]:
    """One MLflow run for the stage instance `name`; its status follows the block's outcome."""
    parent = pipeline.current()
    restored = ledger.settle(parent["key"])
    file = spool.Spool.create(name, parent, now(), shared=present())
    if restored:
        file.write("links", values=restored)
    courier = courier_for(file)
    run = Run(file)
    run.tag("stage", name)
    if commit := lineage.git_commit():
        run.tag("mlflow.source.git.commit", commit)
    if here := image.current():
        run.tag("image", " ".join(here))
    run.params({"seed": head.seed, **_relevant(name, head, params)})
    status = "FAILED"
    try:
        with system.sampled(run, besides=courier.pid):
            yield run
        status = "FINISHED"
    except BaseException as error:
        with suppress(spool.SpoolFullError):
            run.tag("error", public(f"{type(error).__name__}: {error}")[:4000])
        status = "KILLED" if isinstance(error, SystemExit | KeyboardInterrupt) else "FAILED"
        raise
    finally:
        full = None
        try:
            file.write("end", status=status, time=now())
        except spool.SpoolFullError as error:
            full = error
        if status == "FINISHED" and not full:
            ledger.executed(name, file.key, parent["key"])
        if courier.finish(min(_wait(), WAIT_KILLED_S) if status == "KILLED" else _wait()):
            _warn(f"run {name!r}", courier.problem)
        if status == "FINISHED" and full:  # else the stage has failed already, of this or of something else
            raise full


@contextmanager
def sending() -> Iterator[None]:
    """One process sends the runs of all stages that are started within: for what runs a pipeline."""
    courier = Courier()
    os.environ[ENVIRONMENT] = str(courier.pid)
    wait = WAIT_KILLED_S
    try:
        yield
        wait = _wait()
    finally:
        del os.environ[ENVIRONMENT]
        courier.finish(wait)
        left = []
        for file in spool.abandoned():
            with file:
                left.append(file.name)
        if left:
            _warn(f"{len(left)} runs ({', '.join(left[:3])}{', ...' if len(left) > 3 else ''})", courier.problem)


def _warn(what: str, problem: str) -> None:
    why = f" ({problem})" if problem else ""
    print(
        f"warning: {place()} did not take all of {what}{why}; nothing is lost, the next stage or "
        "`python -m ops.tracking` sends it",
        file=sys.stderr,
    )


def replay() -> list[str]:
    """Send what earlier executions could not; one that was killed is marked so. Returns: names of runs still unsent."""
    left = list(spool.abandoned())
    for file in left:
        file.close()
    return [file.name for file in Courier(left).finish(_wait() * max(1, len(left)))] if left else []


def link_restored(parent: str) -> dict[str, str]:
    """After `dvc repro`: let pipeline `parent` (its key) name the runs of stages that DVC restored from its cache.

    Returns: stage -> key of its original run.
    """
    restored = ledger.settle()
    if restored:
        file = spool.Spool.create("restored", {"key": parent, "name": "pipeline"}, now(), shared=present())
        file.write("links", values=restored)
        file.write("end", status="FINISHED", time=now())
        courier_for(file).finish(_wait())
    return restored


def describe_pipeline(key: str, tags: Mapping[str, str]) -> None:
    """Tags for the parent run of pipeline execution `key`; they are sent when its next stage ends."""
    pipeline.describe(key, tags=tags)


def pipeline_link(key: str) -> str:
    """Markdown that leads to the parent run of pipeline execution `key`; empty while MLflow has none."""
    ids = pipeline.described(key).get("mlflow")
    if not ids:
        return ""
    page = f"#/experiments/{ids['experiment']}/runs/{ids['run']}"
    if re.match(r"https?://", uri()):
        return f"[MLflow run {ids['run']}]({place().rstrip('/')}/{page})"
    return f"MLflow run `{ids['run']}`: start `make ui`, then open [it](http://127.0.0.1:5000/{page})"


def spelt(name: str) -> str:
    """A name as MLflow takes it: `mAP@[.5:.95]` -> `mAP__.5:.95_`."""
    return re.sub(r"[^/\w.\- :]", "_", name)


def _wait() -> float:
    """Seconds that a finished stage waits for the server."""
    try:
        return float(os.environ.get("STILLHOUSE_TRACKING_WAIT", WAIT_S))
    except ValueError:
        return WAIT_S


def now() -> int:
    """Milliseconds since the epoch: MLflow's time."""
    return int(time.time() * 1000)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` -> `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, name + ".") if isinstance(value, Mapping) else {name: value}
    return flat


def _relevant(name: str, head: Any, params: Any) -> dict[str, Any]:
    """The params that DVC says the stage reads, of the head and of the task's section."""
    stage, item = lineage.instances().get(name, ({}, {}))
    top, values = head.model_dump(), params.model_dump(by_alias=True)
    chosen: dict[str, Any] = {}
    for key in stage.get("params", []):
        first, *parts = lineage.fill(key, item).split(".")
        section: Any = values if parts else top.get(first)
        for part in parts:
            section = section.get(part) if isinstance(section, dict) else None
        if section is not None:
            chosen[".".join(parts) or first] = section
    return chosen
