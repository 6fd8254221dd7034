"""Several hosts on one machine, each with its own clones, cache and home; a Prefect server and a remote between."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from prefect_server import PrefectServer
from repository import PATIENCE_S, ROOT, Repository, wait_for
from warm import Warm

POOL = "hosts"
IGNORED = ("/go", "/executions", "/ends", "/.stillhouse", "*.partial", "__pycache__")
IDENTITY = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com"}
IDENTITY |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in IDENTITY.items()}


class Host:
    """A host's process, with all that is its own in `home`."""

    def __init__(self, name: str, home: Path, process: subprocess.Popen[str], log: Path):
        self.name, self.home, self.process, self.log = name, home, process, log

    def kill(self) -> None:
        """As a machine that loses its power: the host and all that it runs."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if str(path.joinpath("cwd").readlink()).startswith(str(self.home)):
                    os.kill(int(path.name), signal.SIGKILL)
            except OSError:
                continue

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def executions(self, stage: str) -> list[dict[str, Any]]:
        """What each execution of a stage here noted at its start."""
        found = sorted((self.home / "host" / "slots").glob(f"*/executions/{stage}"))
        return [json.loads(line) for path in found for line in path.read_text(encoding="utf-8").splitlines()]

    def ends(self, stage: str) -> int:
        found = sorted((self.home / "host" / "slots").glob(f"*/ends/{stage}"))
        return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in found)


class Site:
    """A repository with its planner, a Prefect server, a DVC remote, and hosts."""

    def __init__(self, folder: Path, server: PrefectServer, warm: Warm, remote: str | None = None):
        """remote: URL of the DVC remote; None: a folder. Its pool has the name of the folder."""
        self.folder, self.server, self.warm = folder, server, warm
        self.remote = remote or str(folder / "store")
        self.pool = re.sub(r"[^a-z0-9-]", "-", folder.name.lower())
        self.hosts: dict[str, Host] = {}
        self.more: dict[str, str] = {}
        """Variables of planner and hosts."""

    def create(self, stages: Mapping[str, Any], settings: Sequence[str] = ()) -> Repository:
        """The planner's checkout. settings: lines of .dvc/config for the remote."""
        made = Repository.create(self.folder / "planner", stages, self.warm)
        lines = ["[core]", "analytics = false", "check_update = false", "remote = store"]
        lines += ["['remote \"store\"']", f"url = {self.remote}", *settings]
        (made.path / ".dvc" / "config").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (made.path / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n", encoding="utf-8")
        self._ignore(made, stages)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()
        return made

    def change(self, stages: Mapping[str, Any]) -> str:
        """Other stages, committed."""
        planner = self.planner
        planner.write(stages)
        self._ignore(planner, stages)
        return self.commit()

    def _ignore(self, made: Repository, stages: Mapping[str, Any]) -> None:
        names = [*IGNORED, *(f"/{name}" for name in stages)]
        (made.path / ".gitignore").write_text("\n".join(names) + "\n", encoding="utf-8")

    @property
    def planner(self) -> Repository:
        return Repository(self.folder / "planner", self.warm)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.planner.path,
            env={**os.environ, **IDENTITY},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", "--all", "--", ".", ":!dvc.lock")
        self.git("commit", "--quiet", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def environment(self, home: Path) -> dict[str, str]:
        left = {key: v for key, v in os.environ.items() if not key.startswith(("STILLHOUSE_", "PREFECT_"))}
        own = {"HOME": str(home), "PREFECT_HOME": str(home / ".prefect"), "PREFECT_API_URL": self.server.url}
        quiet = {"DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        own["DVC_SITE_CACHE_DIR"] = str(home / ".site-cache")
        return {**left, **quiet, **own, **self.more}

    def host(self, name: str, *arguments: str, prefix: Sequence[str] = (), **variables: str) -> Host:
        """Start a host, or start it again. prefix: a command that runs it."""
        home = self.folder / name
        home.mkdir(exist_ok=True)
        words = [sys.executable, "-m", "pipelines.flow.hosts", self.pool, "--name", name, "--home", str(home / "host")]
        words += ["--repository", str(self.planner.path), *arguments]
        start = subprocess.Popen if prefix else self.warm.Popen
        log = home / "log"
        with log.open("a") as out:
            process = start(
                [*prefix, *words],
                cwd=home,
                env={**self.environment(home), **variables},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                text=True,
            )
        self.hosts[name] = Host(name, home, process, log)
        return self.hosts[name]

    def ready(self, *names: str) -> None:
        """Until these hosts are at work; none: all."""
        for name in names or list(self.hosts):
            host = self.hosts[name]
            wait_for(lambda host=host: "stages at once" in host.said() or host.process.poll() is not None)  # type: ignore[misc]
            assert host.process.poll() is None, host.said()

    def flow(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.warm.run(self._flow(arguments), **self._how(variables), timeout=PATIENCE_S)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """The flow in the background."""
        how = self._how(variables) | {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return self.warm.Popen(self._flow(arguments), **how)

    def _flow(self, arguments: Sequence[str]) -> list[str]:
        shown = ["--no-prefect"] if "--prefect" not in arguments else []
        words = ["-m", "pipelines.flow", "--bare", *shown, "--pool", self.pool]
        return [sys.executable, *words, *(word for word in arguments if word != "--prefect")]

    def _how(self, variables: Mapping[str, str]) -> dict[str, Any]:
        home = self.folder / "planner-home"
        home.mkdir(exist_ok=True)
        return {"cwd": self.planner.path, "env": {**self.environment(home), **variables}}

    def executions(self, stage: str) -> int:
        """How often a stage has run, wherever."""
        return sum(len(host.executions(stage)) for host in self.hosts.values())

    def alone(self, stages: Mapping[str, Any]) -> dict[str, Any]:
        """Entries of dvc.lock and outputs that one machine gives."""
        one = Repository.create(self.folder / "alone", stages, self.warm)
        (one.path / "go").touch()  # what a stage may wait for
        done = one.dvc("repro")
        assert done.returncode == 0, done.stdout + done.stderr
        return {"lock": one.lock, "outputs": one.outputs()}

    def alone_again(self, stages: Mapping[str, Any]) -> dict[str, Any]:
        """The same of other stages, in the same folder."""
        one = Repository(self.folder / "alone", self.warm)
        if not one.path.exists():
            return self.alone(stages)
        one.write(stages)
        done = one.dvc("repro")
        assert done.returncode == 0, done.stdout + done.stderr
        return {"lock": one.lock, "outputs": one.outputs()}

    def result(self) -> dict[str, Any]:
        return {"lock": self.planner.lock, "outputs": self.planner.outputs()}

    def settled(self) -> bool:
        """Whether a plain `dvc repro` does nothing."""
        done = self.planner.dvc("repro")
        ran = (self.planner.path / "executions").exists()
        return done.returncode == 0 and "up to date" in done.stdout and not ran

    def open_runs(self) -> list[str]:
        """Stages that hosts have begun or are to begin."""
        states = {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING"]}}
        pools = {"name": {"any_": [self.pool]}}
        found = self.server.ask("flow_runs/filter", flow_runs={"state": states}, work_pools=pools)
        return [run["name"] for run in found]

    def close(self) -> None:
        for host in self.hosts.values():
            if host.process.poll() is None:
                host.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def lock_text(path: Path) -> str:
    """dvc.lock, its stages sorted: their order is that in which they ended."""
    return yaml.safe_dump(yaml.safe_load(path.read_text(encoding="utf-8")), sort_keys=True)
