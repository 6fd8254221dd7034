"""podman for tests, on a machine without systemd, bridges, or a Docker daemon: settings that work, calls that check."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

SETTINGS = """
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""
TOOLS = ("podman", "runc", "mmdebstrap")
LOCKED_DOWN = (
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs=/tmp",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
)
"""How an image of ours is meant to run: a read-only root, no capability, no way to more rights."""


@cache
def missing() -> str | None:
    """Why nothing can be built here; None: it can."""
    if lacking := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"{', '.join(lacking)}: not installed (Debian: apt-get install {' '.join(TOOLS)} buildah)"
    if os.geteuid() != 0:
        return "images are built as root here, without user namespaces"
    return None


@dataclass(frozen=True)
class Engine:
    """`folder` takes the engine's settings; images stay in its own storage, so that they are built once."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path) -> Engine:
        settings = folder / "containers.conf"
        settings.write_text(SETTINGS, encoding="utf-8")
        environment = {**os.environ, "ENGINE": "podman", "CONTAINERS_CONF": str(settings), "BUILDAH_ISOLATION": "chroot"}
        probe = subprocess.run(["podman", "info"], env=environment, capture_output=True, check=False)
        if probe.returncode:  # no overlay here: whole copies, slower, but always possible
            environment["STORAGE_DRIVER"] = "vfs"
        return cls(folder, environment)

    def call(self, *arguments: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        return self.run([shutil.which("podman") or "podman", *arguments], check, timeout)

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

    def build(self, root: Path, name: str, base: str, tag: str, timeout: float = 1500) -> str:
        """`python docker/build.py` of the tree `root`; what it printed."""
        command = [sys.executable, str(root / "docker" / "build.py"), name]
        options = ["--engine", "podman", "--base", base, "--tag", tag]
        return self.run([*command, *options], timeout=timeout).stdout

    def inspect(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.call("image", "inspect", image).stdout)[0]
        return found

    def once(self, image: str, *command: str, options: Sequence[str] = (), **more: Any) -> str:
        """Output of a command in a container that is gone afterwards; in place of the image's entry point."""
        entry = ["--entrypoint", json.dumps([command[0]])]
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
            self.call("rm", "--force", "--time", "5", name, check=False)

    def wait_healthy(self, name: str, seconds: float = 60) -> None:
        """Until the image's health check passes; without systemd nothing else runs it. Raises: TimeoutError."""
        end = time.monotonic() + seconds
        while self.call("healthcheck", "run", name, check=False).returncode:
            if time.monotonic() > end:
                raise TimeoutError(f"{name}: not healthy within {seconds} s")
            time.sleep(0.2)

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """The image's root file system as a folder."""
        path = Path(self.call("image", "mount", image).stdout.strip())
        try:
            yield path
        finally:
            self.call("image", "unmount", image, check=False)
