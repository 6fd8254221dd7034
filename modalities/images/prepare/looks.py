"""What `prepare` has to know of every picture before it may name and place any: looked at on all cores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from core import parallel
from core.files import sha256
from modalities.images.inputs import shards
from modalities.images.inputs.probe import Probe, probe
from modalities.images.prepare import upright


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
    pieces = parallel.cut(paths, shards.TOGETHER)
    return [found for piece in parallel.mapped(partial(_look, max_pixels), pieces) for found in piece]


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
