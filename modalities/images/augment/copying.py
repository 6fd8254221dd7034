"""The pictures of an augmented dataset written where they belong, on all cores; see `inputs.shards`."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from core import parallel
from modalities.images.augment.view import View
from modalities.images.inputs import shards

QUALITY = 95
TOGETHER = 64
"""Copies that are files of their own of which a process makes as many at a time."""


class Copy(NamedTuple):
    """A picture that was made and written."""

    size: tuple[int, int]
    """Height and width."""
    boxes: list[list[float]]
    labels: list[int]
    whole: list[int]
    place: dict[str, Any]
    """What its entry says of where it lies."""
    view: View | None
    """Of a picture that is to be shown."""


def originals(dataset: Path, images: Sequence[dict[str, Any]], target: Path) -> None:
    """Copy the pictures of some entries of `dataset` into the folder `target`; the entries are told new places."""
    work = [[images[i] for i in unit] for unit in shards.units(images)]
    copy = partial(shards.copy, dataset, target=target)
    for unit, places in zip(work, parallel.mapped(copy, work), strict=True):
        for image, place in zip(unit, places, strict=True):
            image.update(place)


def copies(
    make: Callable[[int], View],
    names: Sequence[str],
    shown: Collection[int],
    originals: Sequence[dict[str, Any]],
    target: Path,
) -> Iterator[Copy]:
    """Make pictures 0 to len(names) - 1 and write them as JPEG, as files or, of many, into shards.

    shown: those of which the pixels are handed on; originals: entries of what they are made of.
    """
    sharded = shards.count(len(originals) + len(names), 0) > 0
    pixels = sum(image["width"] * image["height"] for image in originals) / max(1, len(originals))
    size = max(1, min(shards.PICTURES, int(shards.BYTES / max(1, pixels)))) if sharded else TOGETHER
    pieces = list(enumerate(parallel.cut(range(len(names)), size)))
    work = partial(_piece, make, names, frozenset(shown), target, sharded)
    for copied in parallel.mapped(work, pieces):
        yield from copied


def _piece(
    make: Callable[[int], View],
    names: Sequence[str],
    shown: Collection[int],
    target: Path,
    sharded: bool,
    piece: tuple[int, Sequence[int]],
) -> list[Copy]:
    number, positions = piece
    made: list[Copy] = []

    def files() -> Iterator[tuple[str, bytes]]:
        for position in positions:
            view = make(position)
            drawn = view if position in shown else None
            made.append(Copy(view.size, view.boxes.tolist(), view.labels.tolist(), view.whole.tolist(), {}, drawn))
            file = io.BytesIO()
            Image.fromarray(view.pixels).save(file, format="JPEG", quality=QUALITY, subsampling=0)
            yield names[position], file.getvalue()

    if sharded:
        name = f"augmented-{number:05d}.tar"
        places = shards.write(target / name, files())
        return [
            copy._replace(place=dict(zip(shards.PLACE, (name, *place), strict=True)))
            for copy, place in zip(made, places, strict=True)
        ]
    (target / "augmented").mkdir(exist_ok=True)
    for name, data in files():
        (target / name).write_bytes(data)
    return made
