"""Whether two runs of this repository's pipeline made the same, but for times.

Left out: Great Expectations' Data Docs, stages that measure latency or choose by it (evaluate, compare, package), and
what is made of their choice (publish).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from core.files import sha256

TIMED = ("evaluate", "compare", "package", "publish")


def outputs(root: Path) -> dict[str, list[Path]]:
    """Stage instance -> its outputs, from dvc.lock."""
    stages: dict[str, Any] = yaml.safe_load((root / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {name: [root / out["path"] for out in entry["outs"]] for name, entry in stages.items()}


def content(folder: Path) -> dict[str, str]:
    """File -> sha256."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files if "data_docs" not in path.parts}


def different(first: Path, second: Path) -> dict[str, list[str]]:
    """Stage instance -> files that differ between two repositories; all stages but those that time."""
    here, there = outputs(first), outputs(second)
    found = {name: ["in one of them only"] for name in here.keys() ^ there.keys()}
    for name in sorted(here.keys() & there.keys()):
        if name.partition("@")[0] in TIMED:
            continue
        for mine, other in zip(here[name], there[name], strict=True):
            one, two = content(mine), content(other)
            if files := sorted(file for file in one.keys() | two.keys() if one.get(file) != two.get(file)):
                found[name] = files
    return found
