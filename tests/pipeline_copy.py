"""A copy of the repository in which a test may run the real pipeline with real DVC."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import cache_from_source
from pathlib import Path

import yaml
from warm import Warm

from core import lineage
from core import params as params_module

ROOT = Path(__file__).resolve().parent.parent
TOY = "toy_line"
"""A task of the least that a task may have: `tests/toy_line`."""


@dataclass
class Copy:
    """A working copy: `run` calls a command in it, `dvc` calls DVC.

    warm: what DVC and programs of Python are forked from; it has imported nothing of this repository.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    warm: Warm | None = None

    def run(self, *command: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        if self.warm and command[0] in ("dvc", "python"):
            words = ["-m", *command] if command[0] == "dvc" else command[1:]
            done = self.warm.run([sys.executable, *words], cwd=self.folder, env=self.environment, timeout=timeout)
        else:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        if check and done.returncode:
            output = done.stdout[-4000:] + done.stderr[-4000:]
            raise AssertionError(f"{command} ended with {done.returncode}:\n{output}")
        return done

    def dvc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("dvc", *arguments, check=check)

    def stage(self, name: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("python", "-m", f"stages.{name}", *arguments, check=check)

    def params(self, changes: dict[str, object]) -> None:
        """Set values in params.yaml by dotted keys."""
        path = self.folder / "params.yaml"
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key, value in changes.items():
            *parents, last = key.split(".")
            section = values
            for parent in parents:
                section = section[parent]
            section[last] = value
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def only(self, *names: str) -> None:
        """Leave out all tasks but these."""
        path = self.folder / "params.yaml"
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name in set(values["tasks"]) - set(names):
            del values[name]
        path.write_text(yaml.safe_dump(values | {"tasks": list(names)}, sort_keys=False), encoding="utf-8")

    def pretend(self) -> None:
        """Make DVC take every stage for done: outputs of no content, and the `dvc.lock` of a finished run."""
        values = [yaml.safe_load((self.folder / name).read_text("utf-8")) for name in ("dvc.yaml", "matrix.yaml")]
        stages, keys = values[0]["stages"], values[1]["matrix"]
        done = [(stages[name]["do"], item) for name in stages if name in keys for item in keys[name].values()]
        for kind in ("outs", "deps"):  # a dependency may lie within an output
            for path in (self.folder / lineage.fill(text, item) for stage, item in done for text in stage[kind]):
                if not path.exists() and "${" not in str(path) and path.name != "plan.txt":
                    content = path if path.suffix else path / "content"
                    content.parent.mkdir(parents=True, exist_ok=True)
                    content.write_text(str(path.relative_to(self.folder)), encoding="utf-8")
        self.stage("plan")
        self.dvc("commit", "--force")

    def add_toy(self, only: bool = False) -> None:
        """Make `tests/toy_line` a task of the copy; only: in place of the others."""
        toy = ROOT / "tests" / TOY
        shutil.copytree(toy, self.folder / "tasks" / TOY, ignore=shutil.ignore_patterns("*.yaml", "__pycache__"))
        path = self.folder / "params.yaml"
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        values["tasks"] = [TOY] if only else [*values["tasks"], TOY]
        own = yaml.safe_load((toy / "params.yaml").read_text(encoding="utf-8"))
        shared = {
            name: {key: values["translation"][name][key] for key in field.annotation.model_fields}
            for name, field in params_module.TaskParams.model_fields.items()
            if name in values["translation"] and hasattr(field.annotation, "model_fields")
        }
        values[TOY] = own | {name: section | own.get(name, {}) for name, section in shared.items()}
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        self.plan()

    def plan(self) -> None:
        """Bring matrix.yaml up to date with params.yaml."""
        self.run("python", "-m", "pipelines.matrix")


def make(folder: Path, preset: str | None = "tiny", warm: Warm | None = None) -> Copy:
    """Copy what git would track into `folder`, as its own git and DVC repository, with a preset applied."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        source = ROOT / name
        if (
            source.is_file() and name != "dvc.lock" and not name.startswith("tests/")
        ):  # what is finished there is not here
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
            compiled = Path(cache_from_source(name))
            if source.suffix == ".py" and (ROOT / compiled).is_file():  # it holds for the copy: same size, same time
                (folder / compiled).parent.mkdir(exist_ok=True)
                shutil.copyfile(ROOT / compiled, folder / compiled)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "STILLHOUSE_", "DVC_"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "DO_NOT_TRACK": "1",
    }
    copy = Copy(folder, environment, warm)
    copy.run("git", "init", "--quiet")
    copy.run("git", "add", "--all")
    copy.run("git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "copy")
    if preset:
        copy.run("python", "-m", "pipelines.preset", preset)
    return copy
