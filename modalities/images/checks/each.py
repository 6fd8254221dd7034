"""What is found of every picture by itself, on all cores, and remembered where pictures lie in shards.

A shard that is as it was, byte for byte, is not looked at again (`inputs.memory`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from core import parallel
from core.files import sha256
from modalities.images.inputs import memory, shards

Look = Callable[..., Any]
"""(where a picture lies, further arguments) -> a JSON value."""


def each(look: Look, dataset: Path, images: Sequence[dict[str, Any]], *arguments: Any) -> Iterator[tuple[int, Any]]:
    """Position of each picture, in any order, and what `look`, a function of a module, finds of it.

    images: entries of the splits' JSON files; arguments: JSON values.
    """
    units = shards.units(images)
    asked = [[_place(images[i]) for i in unit] for unit in units]
    answers = parallel.mapped(partial(_unit, look, dataset, arguments), asked)
    for unit, values in zip(units, answers, strict=True):
        yield from zip(unit, values, strict=True)
    if any("shard" in image for image in images):
        memory.forget()


def _place(image: dict[str, Any]) -> dict[str, Any]:
    """As much of an entry as another process has to be told."""
    return {key: image[key] for key in ("file_name", *shards.PLACE) if key in image}


def _unit(look: Look, dataset: Path, arguments: tuple[Any, ...], images: list[dict[str, Any]]) -> list[Any]:
    def answer() -> list[Any]:
        return [look(shards.source(dataset, image), *arguments) for image in images]

    if "shard" not in images[0]:
        return answer()
    content = sha256(dataset / "images" / images[0]["shard"])
    places = [[image["file_name"], image["offset"], image["size"]] for image in images]
    question = [content, places, look.__module__, look.__qualname__, arguments]
    return list(memory.remembered(question, (__file__,), answer))
