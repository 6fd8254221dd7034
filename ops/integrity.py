"""Whether what a stage reads is what `dvc.lock` says that it was made as.

DVC trusts the objects in its cache: one that a disk or a copy has damaged is checked out as if it were whole. So a
stage that DVC starts first compares its inputs with the md5 of the stages that made them. What was hashed once is known
by size and time of its files and not hashed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import lineage, params, paths
from core.errors import DataError
from core.files import read_json, write_json
from ops import image, repair

KNOWN = paths.STATE / "hashed.json"
ENVIRONMENT = "${environment}"
"""As dvc.yaml has it among the dependencies of a stage."""
SHOWN = 3
"""Damaged files that a message names."""


def check(name: str) -> None:
    """Compare the inputs of stage instance `name` that other stages made with what these have recorded.

    Raises: DataError naming the damaged file, its object in the cache, and what to do. StillhouseError where the stage
    is to run in an image, and this is another one or none.
    """
    locked = lineage.locked()
    made = {out["path"]: (maker, out.get("md5")) for maker, entry in locked.items() for out in entry.get("outs", [])}
    stage, item = lineage.instances().get(name, ({}, {}))
    if ENVIRONMENT in stage.get("deps", []):
        image.check(str(params.read(Path("params.yaml"))["environment"]))
    needed = [Path(lineage.fill(dep, item)) for dep in stage.get("deps", [])]
    for out, (maker, md5) in made.items():
        path = Path(out)
        if md5 and any(path == dep or path in dep.parents for dep in needed) and _digest(path) != md5:
            raise DataError(_damage(maker, path, str(md5)))


def _digest(path: Path) -> str:
    """md5 as DVC gives it; from memory where sizes and times are those of last time."""
    seen = _signature(path)
    KNOWN.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(KNOWN.with_suffix(".lock")):
        known = _known()
        if known.get(str(path), [""])[0] == seen:
            return str(known[str(path)][1])
    found = lineage.digest(path)
    with FileLock(KNOWN.with_suffix(".lock")):
        write_json(KNOWN, {**_known(), str(path): [seen, found]})
    return found


def _known() -> dict[str, Any]:
    try:
        return dict(read_json(KNOWN))
    except (FileNotFoundError, ValueError):
        return {}


def _signature(path: Path) -> str:
    """Of the names, sizes, times and inodes of all files below a path."""
    digest = hashlib.sha256()
    for file, stat in sorted(_files(path)):
        digest.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ino}\0".encode())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    if path.is_file():
        yield str(path), path.stat()
    for file in path.rglob("*") if path.is_dir() else ():
        if file.is_file():
            yield str(file), file.stat()


def _damage(maker: str, path: Path, md5: str) -> str:
    """What differs, and how to get it anew."""
    different = [(file, _object(recorded)) for file, recorded in _different(path, md5)]
    names = [f"{file} (object {stored})" for file, stored in different]
    which = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    # All of the objects: DVC would keep one that is there, and the next run would restore it again.
    command = shlex.join(["rm", "-rf", str(path), *(str(stored) for _, stored in different)])
    return (
        f"{which} is not what {maker} made (dvc.lock has md5 {md5}): the object in DVC's cache is damaged. "
        f"`{command}` and run again: {maker} makes it anew"
    )


def _different(path: Path, md5: str) -> list[tuple[Path, str]]:
    """Files that are not as recorded, each with the recorded md5."""
    if not md5.endswith(".dir"):
        return [(path, md5)]
    try:
        listing = json.loads(_object(md5).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [(path, md5)]
    files = [(path / entry["relpath"], str(entry["md5"])) for entry in listing]
    return [(file, recorded) for file, recorded in files if lineage.digest(file) != recorded] or [(path, md5)]


def _object(md5: str) -> Path:
    return repair.cache() / "files" / "md5" / md5[:2] / md5[2:]
