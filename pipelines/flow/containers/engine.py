"""The container engine of this machine, by Docker's API: Docker's own, or podman's answer to it.

The client is `docker`, the library that prefect-docker stands on; it tells how a container ended, in the same words of
both engines. DOCKER_HOST names Docker's socket, CONTAINER_HOST podman's; where podman has none, it is asked to serve
one for as long as the flow lasts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from docker.client import DockerClient
from docker.errors import APIError, DockerException, NotFound

from core.errors import StillhouseError
from core.family import ends_with

UNIX = "unix://"
DOCKER = "unix:///var/run/docker.sock"
VARIABLES = {"docker": "DOCKER_HOST", "podman": "CONTAINER_HOST"}
START_S = 30.0
ANSWER_S = 300.0
"""A copy of a large image, where the engine's storage has no layers, takes as long as that."""
UNREACHABLE = (requests.RequestException, DockerException)
"""What the client raises when nobody answers; `APIError`, an answer, is one of them."""
CHECKOUT, FLOW, STAGE = "stillhouse.checkout", "stillhouse.flow", "stillhouse.stage"
"""Labels of the containers: the folder, the key of the pipeline execution, the stage."""


@dataclass(frozen=True)
class Engine:
    kind: str
    """`docker` or `podman`."""
    address: str
    """`unix:///PATH`."""
    rootless: bool = False
    """Whether its root is the user who started it."""

    def client(self) -> DockerClient:
        """To be closed. Raises: one of UNREACHABLE."""
        return client(self.address)


def client(address: str) -> DockerClient:
    """Of the engine at `address`; to be closed. Raises: one of UNREACHABLE."""
    return DockerClient(base_url=address, version="auto", timeout=int(ANSWER_S))


@contextmanager
def serving(kind: str) -> Iterator[Engine]:
    """The engine, which answers. Raises: StillhouseError when there is none on this machine."""
    address = _address(kind)
    if address is not None:
        yield _answering(kind, address)
        return
    with _own_service() as address:
        yield _answering(kind, address)


def sweep(connected: DockerClient, labels: Mapping[str, str]) -> list[str]:
    """Remove the containers that have these labels, with what runs in them. Returns: the names of their stages.

    Raises: one of UNREACHABLE.
    """
    label, value = next(iter(labels.items()))
    removed = []
    for found in connected.api.containers(all=True, filters={"label": f"{label}={value}"}):
        theirs = found.get("Labels") or {}
        if all(theirs.get(key) == text for key, text in labels.items()):
            remove(connected, found["Id"])
            removed.append(str(theirs.get(STAGE)))
    return removed


def remove(connected: DockerClient, container: str) -> None:
    """A container, with what runs in it and its unnamed volumes, whether it is there or not. Raises: as `sweep`."""
    try:
        connected.api.remove_container(container, force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        if not gone(error) and "already in progress" not in str(error):
            raise


def gone(error: APIError) -> bool:
    """Whether an answer says that there is no such container; podman's status is not always 404."""
    return isinstance(error, NotFound) or "no such container" in str(error).lower()


def _address(kind: str) -> str | None:
    """Where the engine is to answer; None: podman, which serves no socket here."""
    named = os.environ.get(VARIABLES[kind])
    if named and not named.startswith(UNIX):
        raise StillhouseError(
            f"{VARIABLES[kind]} is {named}: stages read and write this checkout, so the engine must be this machine's; "
            f"name its socket, {UNIX}/PATH"
        )
    if named or kind == "docker":
        return named or DOCKER
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    socket = Path("/run" if os.getuid() == 0 else runtime, "podman", "podman.sock")
    return f"{UNIX}{socket}" if socket.exists() else None


def _answering(kind: str, address: str) -> Engine:
    try:
        connected = client(address)
        try:
            options = connected.info().get("SecurityOptions") or []
        finally:
            connected.close()
    except UNREACHABLE as error:
        start = "start Docker" if kind == "docker" else "start `podman system service`"
        raise StillhouseError(
            f"--in {kind}: no engine answers at {address} ({reason(error)}); {start}, or name its socket by "
            f"{VARIABLES[kind]}"
        ) from None
    return Engine(kind, address, any("rootless" in str(option) for option in options))


def reason(error: BaseException) -> str:
    """The last cause of an error, in a few words."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    if isinstance(error, APIError) and error.explanation:
        return str(error.explanation)
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


@contextmanager
def _own_service() -> Iterator[str]:
    """`podman system service`, started again when it dies, until the block ends. Yields: its address."""
    if shutil.which("podman") is None:
        raise StillhouseError("--in podman: podman is not installed")
    with tempfile.TemporaryDirectory(prefix="stillhouse-") as folder:  # a path of a socket is short
        service = _Service(Path(folder))
        try:
            yield service.address
        finally:
            service.stop()


class _Service:
    def __init__(self, folder: Path):
        self._socket, self._log = folder / "podman.sock", folder / "log"
        self.address = f"{UNIX}{self._socket}"
        self._ending = threading.Event()
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="podman service", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self._socket.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        if not self._socket.exists():
            self.stop()
            said = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
            raise StillhouseError(f"--in podman: `podman system service` does not start: {said[-1] if said else ''}")

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def _watch(self) -> None:
        """The thread is the process's parent for the kernel."""
        command = ["podman", "system", "service", "--time=0", self.address]
        environment = {key: value for key, value in os.environ.items() if key != VARIABLES["podman"]}
        while not self._ending.is_set():
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    command,
                    cwd=self._socket.parent,  # conmon leaves a file `oom` where it was started, when memory runs out
                    env=environment,  # one that is named, if by nothing, makes podman a client
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=ends_with(os.getpid()),  # noqa: PLW1509 - only a system call
                )
            while process.poll() is None and not self._ending.wait(0.2):
                pass
            if process.poll() is None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()
                process.wait()
            else:
                self._ending.wait(1.0)


def group_add(engine: Engine) -> list[int]:
    """The caller's further groups, by which data may be readable."""
    return [] if engine.rootless else [group for group in os.getgroups() if group != os.getgid()]


def user(engine: Engine) -> dict[str, Any]:
    """By which arguments of the client what a container writes belongs to the caller."""
    if not engine.rootless:
        return {"user": f"{os.getuid()}:{os.getgid()}", "group_add": group_add(engine)}
    if engine.kind == "podman":
        return {"user": f"{os.getuid()}:{os.getgid()}", "userns_mode": "keep-id"}
    return {"user": "0:0"}  # of Docker's own user namespace, outside of which it is the caller
