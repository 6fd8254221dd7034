"""Small DVC repositories whose stages run in containers of the engine under test, and flows in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from engine import Engine

ROOT = Path(__file__).resolve().parents[2]
STAGE = Path(__file__).with_name("inside.py")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Flows:
    """A repository without git, and how the flow is called in it."""

    engine: Engine
    """As Docker's clients may use it: its environment says how it is reached."""
    path: Path
    image: str

    @classmethod
    def create(cls, engine: Engine, path: Path, image: str, stages: Mapping[str, Any]) -> Flows:
        (path / ".dvc").mkdir(parents=True)
        config = "[core]\nno_scm = true\nanalytics = false\ncheck_update = false\n"
        (path / ".dvc" / "config").write_text(config, encoding="utf-8")
        (path / ".dvcignore").write_text(".stillhouse\n*.partial\n", encoding="utf-8")
        (path / "other").write_text("of nobody", encoding="utf-8")
        shutil.copy(STAGE, path / "inside.py")
        made = cls(engine, path, image)
        made.write(stages)
        return made

    def write(self, stages: Mapping[str, Any]) -> None:
        """dvc.yaml anew.

        stages: name -> parents, or {"deps": parents, "options": for inside.py, "meta": ..., "reads": more dependencies}
        """
        content = {}
        for name, wanted in stages.items():
            full = wanted if isinstance(wanted, dict) else {"deps": wanted}
            parents = [self.out(parent) for parent in full.get("deps", ())]
            words = ["python3", "inside.py", self.out(name), *parents, full.get("options", "")]
            content[name] = {
                "cmd": " ".join(words).strip(),
                "deps": ["inside.py", *parents, *full.get("reads", ())],
                "outs": [self.out(name)],
                **({"meta": full["meta"]} if "meta" in full else {}),
            }
        (self.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": content}, sort_keys=False), encoding="utf-8")

    @staticmethod
    def out(name: str) -> str:
        """All outputs lie in one folder but that of `top`, which lies beside dvc.yaml."""
        return name if name == "top" else f"made/{name}"

    @property
    def environment(self) -> dict[str, str]:
        left = {key: value for key, value in self.engine.environment.items() if not key.startswith("STILLHOUSE_")}
        quiet = {"DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        address = self.engine.environment.get("DOCKER_HOST")
        named = {"CONTAINER_HOST": address} if address else {}
        return {**left, **quiet, **named, "HOME": str(self.path), "NOT_FOR_STAGES": "1"}

    def command(self, *arguments: str) -> list[str]:
        words = ["-m", "pipelines.flow", "--bare", "--no-prefect", "--in", self.engine.program, "--image", self.image]
        return [sys.executable, *words, *arguments]

    def run(self, *arguments: str, timeout: float = 240, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """In the background, in a session of its own."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.path,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def dvc(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dvc", *arguments]
        return subprocess.run(command, cwd=self.path, env=self.environment, capture_output=True, text=True, check=False)

    def settled(self) -> bool:
        """Whether a further `dvc repro` does nothing."""
        done = self.dvc("repro")
        return done.returncode == 0 and "up to date" in done.stdout and "Running stage" not in done.stdout

    def seen(self, name: str) -> list[dict[str, Any]]:
        """What each execution of a stage saw."""
        path = self.path / ".stillhouse" / "seen" / self.out(name)
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def content(self, name: str) -> str:
        return (self.path / self.out(name)).read_text(encoding="utf-8")

    def attempts(self, name: str) -> list[str | None]:
        """Why each attempt of a stage failed, None for a success; of all flows."""
        logs = sorted((self.path / ".stillhouse" / "flow").glob("*/attempts.jsonl"), key=os.path.getmtime)
        lines = [json.loads(line) for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
        return [line["cause"] for line in lines if line["stage"] == name]

    def log(self, name: str) -> str:
        """Of all attempts of a stage."""
        logs = sorted((self.path / ".stillhouse" / "flow").glob(f"*/{name}*.log"), key=os.path.getmtime)
        return "".join(log.read_text(encoding="utf-8") for log in logs)

    def containers(self) -> list[str]:
        """Those of this repository, running or not."""
        label = f"label=stillhouse.checkout={self.path}"
        return self.engine.call("ps", "--all", "--quiet", "--no-trunc", "--filter", label).stdout.split()


def wait_for(condition: Callable[[], Found], timeout: float = 240, every: float = 0.1) -> Found:
    """Until the condition holds; what it then gave."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(every)
    return found
