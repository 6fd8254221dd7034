"""Raw images and what is said of them, in any format that a reader knows -> the canonical dataset.

writes  images/ (files, or shards: `inputs.shards`), train.json, val.json, test.json (COCO JSON: pixels, boxes as x, y,
        width, height, ids from 1, unique over all splits; an annotation without a box is of the whole picture),
        rejected.jsonl when rows were neither an image nor a box, removed.jsonl: images left out since a held-out split
        has the same bytes

Nothing bad is dropped here: an image that is missing or damaged keeps the size that the source states, and a box whose
numbers are not finite has null in their place and the original text in `stated`; the role `checks` finds them.
`missing` of an image says where a file was looked for, `unread` how many of its labels could not be read.
`source_file` and `source_row` of images and annotations say where each came from.

Where an image carries an EXIF rotation, its boxes were drawn on the raw picture if the stated width and height are
those of the raw picture only, and on the upright picture otherwise (also where nothing tells them apart: annotation
tools in browsers show pictures upright, and YOLO's reference implementation counts so).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import SourceError
from core.files import write_json, write_jsonl
from core.visible import visible
from core.walk import is_hidden, listing, packed
from modalities.images.inputs.probe import GOOD, Probe
from modalities.images.prepare import filling, looks, upright
from modalities.images.prepare.looks import Look
from modalities.images.prepare.raw import Box, Picture, Raw, named
from modalities.splits import SPLITS, assign

LISTED = 12
"""Names of what is there that a message gives."""
LONGEST = 120
"""Characters of a name in a message."""
NAME, ENDING = 200, 12
"""Bytes of a file's name and characters of its ending: file systems take 255, and a number may follow."""
DEPTH = 2
"""Levels of folders that may enclose the data, as in an unpacked archive."""


def prepare(source: Path, folder: Path, params: Any, seed: int, formats: Mapping[str, Any]) -> dict[str, Any]:
    """Read `source` and write the canonical dataset into `folder`; see the module and `core.task.Prepare`.

    formats: readers by the name that `data.format` takes: modules with `NEEDS`, `find` and `read`.
    """
    settings = params.data
    name, root, files = _detect(source, settings.format, formats)
    raw = formats[name].read(root, files, settings.classes, settings.kind == "path")
    if not raw.pictures:
        raise SourceError(
            f"no image in the {name} data at {source}; {len(raw.rejected)} rows were unusable{_first(raw)}"
        )
    _refuse_names(raw)
    if source.is_dir() and root != source:
        raw.notes += _around(source, root)
    found = looks.look([picture.path for picture in raw.pictures], params.validation.max_pixels)
    splits, notes = assign(
        [picture.split for picture in raw.pictures],
        [look.digest for look in found],
        (settings.splits.val, settings.splits.test),
        seed,
        [{box.label for box in picture.boxes} for picture in raw.pictures],
        "images",
    )
    converted, scaled = _write(raw, found, splits, folder)
    if raw.rejected:
        write_jsonl(folder / "rejected.jsonl", raw.rejected)
    removed = [picture for picture, split in zip(raw.pictures, splits, strict=True) if split is None]
    if removed:
        write_jsonl(folder / "removed.jsonl", [_removed(picture) for picture in removed])
        notes.append(
            f"{len(removed)} images left out, e.g. {removed[0].name}: a held-out split has the same bytes "
            "(all are in removed.jsonl)"
        )
    for what, names in sorted(scaled.items()):
        notes.append(f"{len(names)} images of more than 8 bits: {what} became black to white, e.g. {named(names)}")
    boxes = Counter(split for picture, split in zip(raw.pictures, splits, strict=True) for _ in picture.boxes)
    whole = any(box.numbers is None for picture in raw.pictures for box in picture.boxes)
    return {
        "format": name,
        "images": {split: splits.count(split) for split in SPLITS},
        "labels" if whole else "boxes": {split: boxes[split] for split in SPLITS},
        "classes": raw.classes,
        "removed": len(removed),
        "converted": dict(sorted(converted.items())),
        "notes": [visible(note) for note in raw.notes + notes],
    }


def _around(source: Path, root: Path) -> list[str]:
    """A note of what lies outside of the folder in which the data was found, if anything does."""
    here = listing(source)
    outside = [here.name(path) for path in here.files if root not in path.parents]
    if not outside:
        return []
    return [f"{len(outside)} files outside of {root.relative_to(source)}/ left out, e.g. {named(outside)}"]


def _refuse_names(raw: Raw) -> None:
    """A class is written into JSON, pages and packages.

    Raises: SourceError for a name that is no text there: bytes of a folder's name that are no UTF-8, half a character
    of JSON, or nothing but spaces.
    """
    for name in raw.classes:
        if not name.strip():
            raise SourceError(f"class {raw.classes.index(name) + 1} of {len(raw.classes)} has an empty name; name it")
        if any("\ud800" <= character <= "\udfff" for character in name):
            boxes = (box for picture in raw.pictures for box in picture.boxes if box.label == name)
            where = next((f"{visible(box.file)}: row {box.row}, " for box in boxes), "")
            raise SourceError(f"{where}class {visible(name[:LONGEST])!r}: its name is no valid Unicode; rename it")


def _first(raw: Raw) -> str:
    if not raw.rejected:
        return ""
    row = raw.rejected[0]
    return f", the first: {row['file']}, row {row['row']}, {row['field']}: {row['reason']} (found {row['found']})"


def _removed(picture: Picture) -> dict[str, Any]:
    reason = "a held-out split has an image of the same bytes"
    return {"file": visible(picture.file), "row": picture.row, "field": "image", "reason": reason}


def _detect(source: Path, wanted: str, formats: Mapping[str, Any]) -> tuple[str, Path, list[Path]]:
    """(format, root, annotation files) at the lowest depth where one fits. Raises: SourceError."""
    names = list(formats) if wanted == "auto" else [wanted]
    if source.is_file():
        return _detect_file(source, names, formats)
    if not source.is_dir():
        raise SourceError(f"data.source {source}: expected a folder or a file")
    level = [source]
    for _ in range(DEPTH + 1):
        fitting = [(name, root, files) for root in level for name in names if (files := formats[name].find(root))]
        if len({(name, root) for name, root, _ in fitting}) > 1:
            options = ", ".join(f"{name} in {root.relative_to(source)}/" for name, root, _ in fitting[:LISTED])
            raise SourceError(f"{source} holds several data sets ({options}); name one with data.format or data.source")
        if fitting:
            return fitting[0]
        level = [sub for root in level for sub in sorted(root.iterdir()) if sub.is_dir() and not is_hidden(sub.name)]
    seen = sorted(p.relative_to(source).as_posix() + "/" * p.is_dir() for p in source.iterdir())
    shown = ", ".join(seen[:LISTED]) + (f" and {len(seen) - LISTED} more" if len(seen) > LISTED else "")
    found = f"found: {shown or 'nothing'}{packed(seen)}"
    raise SourceError(f"no data of format {wanted!r} in {source}; {found}. Needed:\n{_needs(names, formats)}")


def _detect_file(source: Path, names: list[str], formats: Mapping[str, Any]) -> tuple[str, Path, list[Path]]:
    """The data set that a single file describes: a COCO JSON, a data.yaml, a table. Raises: SourceError."""
    for root in list(source.parents)[: DEPTH + 1]:
        for name in names:
            if source in formats[name].find(root):
                return name, root, [source]
    raise SourceError(f"data.source {source} describes no pictures. Needed:\n{_needs(names, formats)}")


def _needs(names: list[str], formats: Mapping[str, Any]) -> str:
    return "\n".join(f"  - {formats[name].NEEDS}" for name in names)


def _write(
    raw: Raw, looked: list[Look], splits: list[str | None], folder: Path
) -> tuple[Counter[str], dict[str, list[str]]]:
    """Write images and the three JSON files; return how many images were converted, by reason, and the names of those
    of more than 8 bits, by the values that became black and white."""
    numbers = {name: number for number, name in enumerate(raw.classes, 1)}
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    contents: dict[str, dict[str, list[Any]]] = {
        split: {"images": [], "annotations": [], "categories": categories} for split in SPLITS
    }
    converted: Counter[str] = Counter()
    scaled: dict[str, list[str]] = defaultdict(list)
    taken: set[str] = set()
    boxes = 0
    files = []
    for number, (picture, look, split) in enumerate(zip(raw.pictures, looked, splits, strict=True), 1):
        if split is None:
            continue
        name, reason = _name(picture, look, taken)
        if reason:
            converted[reason] += 1
            if look.scaled:
                scaled[look.scaled].append(picture.name)
        entry, place = _image(picture, look.probe, reason is not None)
        content = contents[split]
        content["images"].append({"id": number, "file_name": name, **entry})
        if picture.path is not None:
            files.append(filling.File(content["images"][-1], picture.path, look.size, reason is not None))
        for box in picture.boxes:
            boxes += 1
            record = {"id": boxes, "image_id": number, "category_id": numbers[box.label], **_annotation(box, place)}
            content["annotations"].append(record)
    filling.fill(files, folder)
    for split, content in contents.items():
        write_json(folder / f"{split}.json", content)
    return converted, scaled


def _name(picture: Picture, look: Look, taken: set[str]) -> tuple[str, str | None]:
    """A free name for the image, and why it is converted."""
    reason = upright.conversion(look.probe)
    plain = re.sub(r"[^\w.-]+", "_", Path(picture.name.replace("\\", "/")).name).lstrip(".") or "image"
    if picture.path is None:
        return _free(plain, taken), None
    if reason:
        name = _free(f"{Path(plain).stem}.png", taken)
        if look.whole:
            return name, reason  # else damaged behind its header: kept as it is, `checks` says what is wrong
    return _free(Path(plain).stem + picture.path.suffix, taken), None


def _free(name: str, taken: set[str]) -> str:
    """A name that no other image has, also where case is ignored."""
    ending = Path(name).suffix
    ending = ending if len(ending) <= ENDING else ""
    stem = name.removesuffix(ending).encode()[:NAME].decode(errors="ignore")
    name, number = stem + ending, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}{ending}"
    taken.add(name.lower())
    return name


def _image(picture: Picture, found: Probe, converted: bool) -> tuple[dict[str, Any], tuple[Probe, Picture, bool]]:
    """Width, height and origin of an image, and what `_annotation` needs to place its boxes."""
    raw, upright = (found.width, found.height), found.upright
    turned = converted and found.orientation != 1
    stated = picture.size or (upright if found.content == GOOD else raw)
    drawn_raw = turned and tuple(stated) == raw and raw != upright
    width, height = upright if drawn_raw else stated
    origin = {"source_file": visible(picture.file), "source_row": picture.row}
    more: dict[str, Any] = {"unread": picture.unread} if picture.unread else {}
    if picture.path is None and picture.missing:
        more = {**more, "missing": visible(picture.missing)}
    return {"width": _side(width), "height": _side(height), **origin, **more}, (found, picture, drawn_raw)


def _side(value: Any) -> int | None:
    """A stated side as a whole number; None for what is none."""
    whole = _finite(value)
    return int(whole) if whole is not None and whole.is_integer() else None


def _annotation(box: Box, place: tuple[Probe, Picture, bool]) -> dict[str, Any]:
    """Box, area and origin; numbers that are not finite become null, and `stated` keeps the source's. Of the whole
    picture: the origin alone."""
    found, picture, drawn_raw = place
    if box.numbers is None:
        return {"source_file": visible(box.file), "source_row": box.row}
    numbers = [_finite(value) for value in box.numbers]
    origin: dict[str, Any] = {"iscrowd": int(box.crowd), "source_file": visible(box.file), "source_row": box.row}
    scale = (*found.upright, *found.upright) if picture.relative else (1, 1, 1, 1)
    scaled = [math.nan] * 4
    if None not in (*numbers, *scale):
        scaled = [round(value * side, 6) for value, side in zip(numbers, scale, strict=True)]  # type: ignore[operator]
        if drawn_raw:
            scaled = upright.turn(scaled, (found.width or 0, found.height or 0), found.orientation)
    if not all(map(math.isfinite, scaled)):  # also where finite numbers are so large that their products are not
        return {"bbox": numbers, "area": None, "stated": _shown(box.numbers), **origin}
    return {"bbox": scaled, "area": _finite(scaled[2] * scaled[3]), **origin}


def _shown(numbers: list[Any]) -> str:
    """What stands in the place of numbers."""
    texts = (json.dumps(value) if isinstance(value, dict | list) else str(value) for value in numbers)
    return visible(", ".join(text[:LONGEST] for text in texts))[:LONGEST]


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond what a float holds
        return None
