"""Docker's own engine, with BuildKit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Self

from engine import Engine

PROBES = (["docker", "info"], ["docker", "buildx", "version"])


class Docker(Engine):
    program = "docker"

    @classmethod
    def missing(cls) -> str | None:
        if lacking := [tool for tool in ("docker", "mmdebstrap") if shutil.which(tool) is None]:
            return f"{', '.join(lacking)}: not installed"
        for probe in PROBES:
            if subprocess.run(probe, capture_output=True, check=False).returncode:
                return f"`{' '.join(probe)}` fails"
        return None

    @classmethod
    def make(cls, folder: Path) -> Self:
        return cls(folder, {**os.environ, "ENGINE": "docker"})

    def healthy(self, container: str) -> bool:
        """The check's own command, not Docker's last answer, which may be as old as the check's interval."""
        test = json.loads(self.call("inspect", container).stdout)[0]["Config"]["Healthcheck"]["Test"]
        assert test[0] == "CMD", test
        return self.call("exec", container, *test[1:], check=False, timeout=60).returncode == 0

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """A copy: how layers lie on the disk depends on Docker's settings."""
        container = self.call("create", image).stdout.strip()
        try:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                archive = Path(folder, "root.tar")
                self.call("export", "--output", str(archive), container)
                root = Path(folder, "root")
                root.mkdir()
                self.run(["tar", "--extract", "--numeric-owner", "--file", str(archive), "--directory", str(root)])
                archive.unlink()
                yield root
        finally:
            self.remove(container)

    def remove(self, container: str) -> None:
        self.call("rm", "--force", "--volumes", container, check=False)

    def stackless(self) -> str | None:
        return None

    def composed(self, folder: Path) -> nullcontext[Engine]:
        return nullcontext(self)

    def checked(self, containers: Callable[[], list[str]]) -> nullcontext[None]:
        return nullcontext()  # Docker runs them
