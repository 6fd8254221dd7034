"""What is found of every picture by itself, on all cores, and remembered where pictures lie in shards.

A shard that is as it was, byte for byte, is not looked at again: what was found of its pictures stands in
`.stillhouse/pictures/`, named by a digest of the shard, of which pictures were asked for, of the question, and of the
code and the libraries that answer it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from core import parallel, paths
from core.files import read_json, sha256, write_text
from modalities.images.inputs import shards

KEPT_DAYS = 30
"""After its last use that what was found of a shard is kept."""
CODE = (Path(__file__).parent, Path(shards.__file__).parent)

Look = Callable[..., Any]
"""(where a picture lies, further arguments) -> a JSON value."""


def each(look: Look, dataset: Path, images: Sequence[dict[str, Any]], *arguments: Any) -> Iterator[tuple[int, Any]]:
    """Position of each picture, in any order, and what `look`, a function of a module, finds of it.

    images: entries of the splits' JSON files; arguments: JSON values.
    """
    positions = shards.units(images)
    asked = [(look, dataset, [_place(images[i]) for i in unit], arguments) for unit in positions]
    for unit, values in zip(positions, parallel.mapped(_unit, asked), strict=True):
        yield from zip(unit, values, strict=True)
    if any("shard" in image for image in images):
        _forget()


def _place(image: dict[str, Any]) -> dict[str, Any]:
    """As much of an entry as another process has to be told."""
    return {key: image[key] for key in ("file_name", *shards.PLACE) if key in image}


def _unit(asked: tuple[Look, Path, list[dict[str, Any]], tuple[Any, ...]]) -> list[Any]:
    look, dataset, images, arguments = asked
    memory = _memory(look, dataset, images, arguments) if "shard" in images[0] else None
    if memory:
        with suppress(OSError, ValueError):
            found = read_json(memory)
            memory.touch()
            return list(found)
    found = [look(shards.source(dataset, image), *arguments) for image in images]
    if memory:
        write_text(memory, json.dumps(found))
    return found


def _memory(look: Look, dataset: Path, images: list[dict[str, Any]], arguments: tuple[Any, ...]) -> Path:
    question = [look.__module__, look.__qualname__, arguments, [[image[key] for key in image] for image in images]]
    content = sha256(dataset / "images" / images[0]["shard"])
    key = hashlib.sha256(json.dumps([content, question, _versions()]).encode()).hexdigest()
    return paths.STATE / "pictures" / f"{key}.json"


@cache
def _versions() -> list[str]:
    """What a look hangs on beside the pictures."""
    code = hashlib.sha256()
    for path in sorted(path for folder in CODE for path in folder.glob("*.py")):
        code.update(path.read_bytes())
    return [code.hexdigest(), PIL.__version__, np.__version__]


def _forget() -> None:
    """Remove what has not been asked for in a long time."""
    for path in (paths.STATE / "pictures").glob("*.json"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - KEPT_DAYS * 86400:
                path.unlink()
