"""Whether two runs of this repository's pipeline made the same, but for what tells of the run itself.

Left out: times (Great Expectations' Data Docs, latencies and all that is chosen by them: evaluate, compare, package)
and provenance (the metadata of ONNX files, which names the runs, and the checksums of these files).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import onnx
import yaml

TIMED = ("evaluate", "compare", "package")
PROVENANCE = ("checksums.json",)


def outputs(root: Path) -> dict[str, list[Path]]:
    """Stage instance -> its outputs, from dvc.lock."""
    stages: dict[str, Any] = yaml.safe_load((root / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {name: [root / out["path"] for out in entry["outs"]] for name, entry in stages.items()}


def content(folder: Path) -> dict[str, str]:
    """File -> sha256 of what it says."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(_said(path)).hexdigest()
        for path in files
        if path.name not in PROVENANCE and "data_docs" not in path.parts
    }


def different(first: Path, second: Path) -> dict[str, list[str]]:
    """Stage instance -> files that say something else in two repositories; all stages but those that time."""
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


def _said(path: Path) -> bytes:
    if path.suffix != ".onnx":
        return path.read_bytes()
    model = onnx.load(path)
    del model.metadata_props[:]
    return bytes(model.SerializeToString(deterministic=True))
