"""What runs containers for the tests: Docker or podman, whichever works here, with calls that check."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class Engine(ABC):
    """`folder` takes the engine's settings; images stay in its own storage, so that they are built once."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    program: ClassVar[str]
    locked_down: ClassVar[tuple[str, ...]] = (
        "--read-only",
        "--tmpfs=/tmp",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
    )
    """How an image of ours is meant to run: a read-only root, no capability, no way to more rights."""
    registry: ClassVar[str] = ""
    """Before the name of an image that was built here."""

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """Why nothing can be built with it here; None: it can."""

    @classmethod
    @abstractmethod
    def make(cls, folder: Path) -> Self: ...

    @abstractmethod
    def healthy(self, container: str) -> bool:
        """Run a container's health check, once and now."""

    @abstractmethod
    def mounted(self, image: str) -> AbstractContextManager[Path]:
        """The image's root file system as a folder, to be read."""

    @abstractmethod
    def remove(self, container: str) -> None:
        """With what it runs, and whether it is there or not."""

    @abstractmethod
    def stackless(self) -> str | None:
        """Why Docker Compose cannot start a stack here; None: it can."""

    @abstractmethod
    def composed(self, folder: Path) -> AbstractContextManager[Engine]:
        """The engine as Docker Compose may use it: its `environment` says how it is reached."""

    @abstractmethod
    def checked(self, containers: Callable[[], list[str]]) -> AbstractContextManager[None]:
        """While the block lasts, these containers' health checks run every now and then."""

    def call(self, *arguments: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        return self.run([self.program, *arguments], check, timeout)

    def run(
        self, command: Sequence[str], check: bool = True, timeout: float = 600, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False, **more
        )
        if check and done.returncode:
            output = done.stdout[-4000:] + done.stderr[-4000:]
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{output}")
        return done

    def tag(self, name: str, version: str) -> str:
        """What an image built here is called."""
        return f"{self.registry}stillhouse-{name}:{version}"

    def build(self, root: Path, name: str, base: str, version: str, timeout: float = 1500) -> str:
        """`python docker/build.py` of the tree `root`; what it printed."""
        command = [sys.executable, str(root / "docker" / "build.py"), name]
        options = ["--engine", self.program, "--base", base, "--tag", version]
        return self.run([*command, *options], timeout=timeout).stdout

    def inspect(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.call("image", "inspect", image).stdout)[0]
        return found

    def once(self, image: str, *command: str, options: Sequence[str] = (), **more: Any) -> str:
        """Output of a command in a container that is gone afterwards; in place of the image's entry point."""
        entry = ["--entrypoint", command[0]]
        return self.call("run", "--rm", "--network=none", *entry, *options, image, *command[1:], **more).stdout

    @contextmanager
    def started(self, image: str, *arguments: str, options: Sequence[str] = ()) -> Iterator[str]:
        """Name of a container in the background, removed afterwards; its log is part of an error."""
        name = f"stillhouse-test-{uuid.uuid4().hex[:12]}"
        self.call("run", "--detach", "--name", name, *options, image, *arguments)
        try:
            yield name
        except BaseException as error:
            error.add_note(self.call("logs", name, check=False).stderr[-4000:])
            raise
        finally:
            self.remove(name)

    def wait_healthy(self, name: str, seconds: float = 60) -> None:
        """Until the image's health check passes. Raises: TimeoutError."""
        end = time.monotonic() + seconds
        while not self.healthy(name):
            if time.monotonic() > end:
                raise TimeoutError(f"{name}: not healthy within {seconds} s")
            time.sleep(0.2)

    def read(self, container: str, path: str) -> bytes:
        """A file of a container that runs."""
        command = [self.program, "exec", container, "cat", path]
        return subprocess.run(command, env=self.environment, capture_output=True, check=True).stdout
