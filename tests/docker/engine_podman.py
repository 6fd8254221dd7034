"""podman, on a machine without systemd, bridges, or a Docker daemon: settings that work."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from engine import Engine

SETTINGS = """
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""
NETWORKS = """
[network]
network_backend = "netavark"
"""
"""Bridges with names for their containers; Debian's podman takes another one by itself when its storage is older."""
TOOLS = ("podman", "runc", "mmdebstrap")
NETWORK_TOOLS = ("netavark", "aardvark-dns", "iptables")
CHECK_S = 2.0


class Podman(Engine):
    program = "podman"
    locked_down = (*Engine.locked_down, "--read-only-tmpfs=false")
    registry = "localhost/"

    @classmethod
    def missing(cls) -> str | None:
        if lacking := [tool for tool in TOOLS if shutil.which(tool) is None]:
            return f"{', '.join(lacking)}: not installed (Debian: apt-get install {' '.join(TOOLS)} buildah)"
        return None

    @classmethod
    def make(cls, folder: Path) -> Self:
        settings = folder / "containers.conf"
        settings.write_text(SETTINGS, encoding="utf-8")
        environment = {
            **os.environ,
            "ENGINE": "podman",
            "CONTAINERS_CONF": str(settings),
            "BUILDAH_ISOLATION": "chroot",
        }
        probe = subprocess.run(["podman", "info"], env=environment, capture_output=True, check=False)
        if probe.returncode:  # no overlay here: whole copies, slower, but always possible
            environment["STORAGE_DRIVER"] = "vfs"
        return cls(folder, environment)

    def inspect(self, image: str) -> dict[str, Any]:
        found = super().inspect(image)
        found["Config"]["Healthcheck"] = found.get("Healthcheck")  # where Docker has it
        return found

    def healthy(self, container: str) -> bool:
        return self.call("healthcheck", "run", container, check=False, timeout=60).returncode == 0

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        path = Path(self.call("image", "mount", image).stdout.strip())
        try:
            yield path
        finally:
            self.call("image", "unmount", image, check=False)

    def remove(self, container: str) -> None:
        self.call("rm", "--force", "--time", "5", container, check=False)

    def stackless(self) -> str | None:
        folders = os.pathsep.join((os.environ["PATH"], "/usr/lib/podman", "/usr/libexec/podman", "/usr/sbin"))
        lacking = [tool for tool in NETWORK_TOOLS if shutil.which(tool, path=folders) is None]
        return f"not installed: {', '.join(lacking)} (Debian packages of these names)" if lacking else None

    @contextmanager
    def composed(self, folder: Path) -> Iterator[Engine]:
        """With networks in which containers find each other by name, and podman's answer to Docker's API."""
        settings, socket, log = folder / "containers.conf", folder / "podman.sock", folder / "service.log"
        settings.write_text(Path(self.environment["CONTAINERS_CONF"]).read_text(encoding="utf-8") + NETWORKS)
        address = f"unix://{socket}"
        more = {
            "CONTAINERS_CONF": str(settings),
            "DOCKER_HOST": address,
            "COMPOSE_PARALLEL_LIMIT": "1",  # networks that are made side by side get lost
        }
        engine = replace(self, folder=folder, environment=self.environment | more)
        with log.open("wb") as output:
            command = ["podman", "system", "service", "--time=0", address]
            process = subprocess.Popen(command, cwd=folder, env=engine.environment, stdout=output, stderr=output)
            try:
                end = time.monotonic() + 30
                while not socket.exists():
                    assert time.monotonic() < end and process.poll() is None, log.read_text()
                    time.sleep(0.1)
                yield engine
            finally:
                process.terminate()
                process.wait(20)

    @contextmanager
    def checked(self, containers: Callable[[], list[str]]) -> Iterator[None]:
        """Without systemd nothing else runs them."""
        over = threading.Event()

        def loop() -> None:
            while not over.wait(CHECK_S):
                for name in containers():
                    self.healthy(name)

        thread = threading.Thread(target=loop, name="health checks", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(90)
