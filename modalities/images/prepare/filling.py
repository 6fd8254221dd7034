"""The pictures of a canonical dataset written where they belong, on all cores: files of their own, or shards."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from core import parallel
from modalities.images.inputs import shards
from modalities.images.prepare import upright


class File(NamedTuple):
    entry: dict[str, Any]
    """Of the split's JSON file, with `file_name`; is told the place in a shard."""
    path: Path
    size: int
    """Bytes of the file."""
    convert: bool


Job = tuple[str, Path, bool]
"""Name in the dataset, file, whether it is converted."""


def fill(files: Sequence[File], folder: Path) -> None:
    """Write `folder/images/`."""
    target = folder / "images"
    target.mkdir(parents=True, exist_ok=True)
    count = shards.count(len(files), sum(file.size for file in files))
    if not count:
        jobs = [_job(file) for file in files]
        for _ in parallel.mapped(partial(_copy, target), parallel.cut(jobs, shards.TOGETHER)):
            pass
        return
    held: dict[str, list[File]] = defaultdict(list)
    for file in files:
        held[shards.shard(file.entry["file_name"], count)].append(file)
    names = sorted(held)
    work = [(name, [_job(file) for file in held[name]]) for name in names]
    for name, places in zip(names, parallel.mapped(partial(_shard, target), work), strict=True):
        for file, place in zip(held[name], places, strict=True):
            file.entry.update(zip(shards.PLACE, (name, *place), strict=True))


def _job(file: File) -> Job:
    return file.entry["file_name"], file.path, file.convert


def _copy(folder: Path, jobs: Sequence[Job]) -> None:
    for name, path, convert in jobs:
        if convert:
            (folder / name).write_bytes(upright.png(path))
        else:
            shutil.copyfile(path, folder / name)


def _shard(folder: Path, work: tuple[str, Sequence[Job]]) -> list[tuple[int, int]]:
    name, jobs = work
    return shards.write(
        folder / name, ((name, upright.png(path) if convert else path.read_bytes()) for name, path, convert in jobs)
    )
