"""Small real DVC repositories for the tests of the flow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from warm import Warm

ROOT = Path(__file__).parents[3]
WORK = Path(__file__).with_name("work.py")
PATIENCE_S = 280.0
"""Until what does not come is given up, before pytest's own 300 s: how busy a machine is decides nothing else."""


@dataclass(frozen=True)
class Repository:
    """A DVC repository without git, whose stages are `work.py` with the given options."""

    path: Path
    warm: Warm
    """DVC and the flow are processes as ever, which need not import DVC first."""

    @classmethod
    def create(cls, path: Path, stages: Mapping[str, Any], warm: Warm) -> Repository:
        """stages: name -> parents, or {"deps": parents, "options": for work.py, "meta": ...}."""
        path.mkdir(parents=True, exist_ok=True)
        made = cls(path, warm)
        (path / ".dvc").mkdir()  # what `dvc init --no-scm` makes, without its seconds
        config = "[core]\nno_scm = true\nanalytics = false\ncheck_update = false\n"
        (path / ".dvc" / "config").write_text(config, encoding="utf-8")
        (path / ".dvcignore").write_text("executions\nends\n.stillhouse\n*.partial\n", encoding="utf-8")
        shutil.copy(WORK, path / "work.py")
        made.write(stages)
        return made

    def write(self, stages: Mapping[str, Any]) -> None:
        """dvc.yaml anew."""
        content = {}
        for name, wanted in stages.items():
            full = wanted if isinstance(wanted, dict) else {"deps": wanted}
            parents, options = list(full.get("deps", ())), full.get("options", "")
            content[name] = {
                "cmd": " ".join([f"{sys.executable} work.py", name, *parents, options]).strip(),
                "deps": ["work.py", *parents],
                "outs": [name],
            }
            if "meta" in full:
                content[name]["meta"] = full["meta"]
        (self.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": content}, sort_keys=False), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        quiet = {"DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        left = {key: value for key, value in os.environ.items() if not key.startswith(("STILLHOUSE_", "PREFECT_"))}
        return {**left, **quiet, "HOME": str(self.path)}  # the user's Prefect profile is not for tests

    def dvc(self, *arguments: str, timeout: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        return self._run(["-m", "dvc", *arguments], timeout)

    def flow(self, *arguments: str, timeout: float = PATIENCE_S, **variables: str) -> subprocess.CompletedProcess[str]:
        """`python -m pipelines.flow --bare --no-prefect ...`"""
        return self._run(["-m", "pipelines.flow", "--bare", "--no-prefect", *arguments], timeout, variables)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """The flow in the background."""
        return self.warm.Popen(
            [sys.executable, "-m", "pipelines.flow", "--bare", "--no-prefect", *arguments],
            cwd=self.path,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _run(
        self, arguments: Sequence[str], timeout: float, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.warm.run(
            [sys.executable, *arguments],
            cwd=self.path,
            env={**self.environment, **(variables or {})},
            timeout=timeout,
        )

    def executions(self, name: str) -> list[dict[str, Any]]:
        """What each execution of a stage noted at its start."""
        return self._notes("executions", name)

    def ends(self, name: str) -> list[dict[str, Any]]:
        return self._notes("ends", name)

    def _notes(self, folder: str, name: str) -> list[dict[str, Any]]:
        path = self.path / folder / name
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    @property
    def lock(self) -> dict[str, Any]:
        """Stages of dvc.lock."""
        content = yaml.safe_load((self.path / "dvc.lock").read_text(encoding="utf-8"))
        return dict(content["stages"])

    def outputs(self) -> dict[str, str]:
        """What each stage wrote."""
        names = yaml.safe_load((self.path / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        found = {name: self.path / name for name in names}
        return {name: path.read_text(encoding="utf-8") for name, path in found.items() if path.exists()}

    def settled(self) -> bool:
        """Whether a further `dvc repro` does nothing."""
        before = {name: len(self.executions(name)) for name in self.outputs()}
        done = self.dvc("repro")
        after = {name: len(self.executions(name)) for name in self.outputs()}
        return done.returncode == 0 and "up to date" in done.stdout and before == after


Make = Callable[[Mapping[str, Any]], Repository]
"""Makes a repository of stages, see `Repository.create`."""
Found = TypeVar("Found")


def wait_for(condition: Callable[[], Found], timeout: float = PATIENCE_S, every: float = 0.05) -> Found:
    """Until the condition holds; what it then gave."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(every)
    return found
