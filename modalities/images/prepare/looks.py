"""What `prepare` has to know of every picture before it may name and place any: looked at on all cores.

Of more pictures than make a folder it is remembered as long as a file's size, times, place on the disk and rights are
what they were (`inputs.memory`). The time of the last change (ctime) is the kernel's, which no program sets; a file
that was changed within the last tick of its clock is not trusted yet.
"""

from __future__ import annotations

import time
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import partial
from os import fspath
from pathlib import Path
from typing import Any

from core import parallel
from core.files import sha256
from modalities.images.inputs import memory, shards
from modalities.images.inputs.probe import Probe, probe
from modalities.images.prepare import upright

TICK_NS = 100_000_000
"""Nanoseconds within which a file system may give two changes one time: a few milliseconds, with room."""


@dataclass(frozen=True, slots=True)
class Look:
    probe: Probe
    """Of the header alone."""
    digest: str
    """sha256 in hexadecimal; empty without a file."""
    size: int
    """Bytes."""
    whole: bool = True
    """Whether it can be converted, of a picture that has to be."""
    scaled: str | None = None
    """See `upright.convert`."""


def look(paths: Sequence[Path | None], max_pixels: int) -> list[Look]:
    """Raises: SourceError for a file that this user may not read."""
    count = shards.count(len(paths), 0)
    if not count:
        pieces = parallel.cut(paths, shards.TOGETHER)
        return [found for piece in parallel.mapped(partial(_look, max_pixels), pieces) for found in piece]
    groups: dict[int, list[int]] = defaultdict(list)  # by name, so that one file more is in one of them
    for position, path in enumerate(paths):
        groups[zlib.crc32(fspath(path).encode(errors="surrogateescape")) % count if path else 0].append(position)
    looks: list[Any] = [None] * len(paths)
    asked = [[paths[i] for i in group] for group in groups.values()]
    for group, found in zip(groups.values(), parallel.mapped(partial(_known, max_pixels), asked), strict=True):
        for position, one in zip(group, found, strict=True):
            looks[position] = one
    return looks


def _known(max_pixels: int, paths: Sequence[Path | None]) -> list[Look]:
    now, facts = time.time_ns(), [_facts(path) for path in paths]
    if any(max(times[-2:], default=0) > now - TICK_NS for _, *times in facts):
        return _look(max_pixels, paths)

    def answer() -> list[Any]:
        return [[astuple(one.probe), one.digest, one.size, one.whole, one.scaled] for one in _look(max_pixels, paths)]

    rows = memory.remembered([facts, max_pixels], (__file__,), answer)
    return [Look(Probe(*found), *rest) for found, *rest in rows]


def _facts(path: Path | None) -> list[Any]:
    """Name, and what changes with what is in a file; nothing of one that is not there."""
    try:
        stat = path.stat() if path else None
    except OSError:
        stat = None
    known = (stat.st_mode, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) if stat else ()
    return [str(path), *known]


def _look(max_pixels: int, paths: Sequence[Path | None]) -> list[Look]:
    return [_one(path, max_pixels) for path in paths]


def _one(path: Path | None, max_pixels: int) -> Look:
    found = probe(path, max_pixels, decode=False)
    if path is None:
        return Look(found, "", 0)
    digest, size = sha256(path), path.stat().st_size
    if upright.conversion(found) is None:
        return Look(found, digest, size)
    try:
        return Look(found, digest, size, scaled=upright.convert(path)[1])
    except Exception:  # damaged behind its header; decoders raise whatever they like
        return Look(found, digest, size, whole=False)
