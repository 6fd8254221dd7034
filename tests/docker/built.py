"""What the tests of this folder build, and what they hide in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

BASE = "localhost/stillhouse-base:bookworm"
TAG = "test"
CPU = ("serve", "train-cpu")
"""Images that can be built where no registry is reached, and run without a GPU."""
PLANTED = "planted-secret-3f9d1c6b"
"""Stands in files that no build may take up, and in pip's settings for the build itself."""
STRAY = (".env", "docker/.env", "core/.env", "serving/.env.local", ".netrc", "secrets.json", "core/__pycache__/x.pyc")


@dataclass(frozen=True)
class Built:
    """An image; `printed` is what docker/build.py said."""

    name: str
    tag: str
    printed: str

    @property
    def added_mb(self) -> int:
        """What docker/build.py says that the image adds to its base."""
        found = re.search(r", (\d+) MB more than ", self.printed)
        assert found, self.printed
        return int(found[1])
