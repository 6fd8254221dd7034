"""A checkout in which trials run: files as they are here, outputs from the cache of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from core import paths
from core.errors import StillhouseError
from core.files import write_text
from core.params import TaskParams
from ops import repair
from ops.tracking.sender import uri
from pipelines.flow.slots import Share
from pipelines.search.room import Room, StoppedError

FOLDER = paths.STATE / "search"


class Workspace:
    """A clone of this repository with its tracked files, and those that git does not ignore, as they are now."""

    def __init__(self, task: str, params: TaskParams, jobs: int = 1, number: int = 0, share: Share | None = None):
        """params: of the task here; jobs: stages of a trial that run at once, through the flow; number: of those of a
        search that trials run in at once; share: what its stages have of the machine while others run, None: all."""
        self.task, self.params, self.jobs, self.number, self.share = task, params, jobs, number, share
        self.folder = (FOLDER / task / (f"checkout-{number}" if number else "checkout")).resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped, self._guard = threading.Event(), threading.Lock()
        self.room = Room(FOLDER, self._stopped)

    def refresh(self) -> None:
        """Make it, or bring it up to date.

        Raises: StillhouseError when git or DVC refuse.
        """
        if not (self.folder / ".git").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            _run(["git", "clone", "--quiet", "--no-checkout", ".", str(self.folder)], Path())
        head = _told(["git", "rev-parse", "HEAD"])
        _run(["git", "fetch", "--quiet", str(Path().resolve()), "HEAD"], self.folder)
        _run(["git", "reset", "--quiet", "--hard", head], self.folder)
        _run(["git", "clean", "--quiet", "-d", "--force"], self.folder)  # what an earlier refresh copied
        here = _told(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).split("\0")
        for name in filter(None, here):
            source, target = Path(name), self.folder / name
            if not source.is_file():
                target.unlink(missing_ok=True)
            elif not target.is_file() or source.read_bytes() != target.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        _run([sys.executable, "-m", "dvc", "cache", "dir", "--local", str(repair.cache().resolve())], self.folder)

    def write(self, values: dict[str, Any]) -> None:
        """Its `params.yaml`; local paths lead from there to where they led from here."""
        section = values[self.task]
        if self.params.data.kind == "path":
            section["data"]["source"] = str(self.params.data.local.resolve())
        if self.params.model.weights_kind == "path":
            section["model"]["weights"] = str(Path(self.params.model.weights).expanduser().resolve())
        write_text(self.folder / "params.yaml", yaml.safe_dump(values, sort_keys=False))

    def repro(self, targets: Sequence[str], name: str, log: Path, alone: bool = False) -> bool:
        """Run the pipeline up to `targets` as execution `name` in MLflow; returns whether it ended well.

        log: what it says is added to it. alone: no other trial of any search here runs meanwhile, and all of the
        machine is its own. Raises: StoppedError after `stop`, also while it waits for that.
        """
        way = ["pipelines.repro"] if self.jobs == 1 else ["pipelines.flow", "--jobs", str(self.jobs)]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": uri(), "STILLHOUSE_PIPELINE_NAME": name}
        if self.share and not alone:
            environment |= self.share.environment(bool(self.share.gpus))
        held: AbstractContextManager[None] = self.room.alone() if alone else self.room.shared()
        with held, log.open("a", encoding="utf-8") as told:
            with self._guard:
                if self._stopped.is_set():
                    raise StoppedError
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "pipelines.search.child", str(os.getpid()), *way, *targets],
                    cwd=self.folder,
                    env=environment,
                    stdout=told,
                    stderr=subprocess.STDOUT,
                )
            return self._process.wait() == 0

    def stop(self) -> None:
        """End what runs, and begin nothing more."""
        with self._guard:
            self._stopped.set()
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()


def _run(command: list[str], cwd: Path) -> None:
    found = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if found.returncode:
        raise StillhouseError(f"{' '.join(command)} failed in {cwd.resolve()}: {found.stderr.strip()}")


def _told(command: list[str]) -> str:
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise StillhouseError(f"{' '.join(command)} failed: {found.stderr.strip()}; a search needs a git repository")
    return found.stdout.strip()
