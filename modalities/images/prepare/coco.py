"""COCO detection JSON (https://cocodataset.org/#format-data): one annotation file, or one a split.

Layouts: `annotations/instances_train2017.json` with `train2017/` or `images/train2017/`; Roboflow's
`train/_annotations.coco.json` with the images beside it; any `*.json` at the top with the images in `images/`.
Rows are 1-based positions in `images` and `annotations`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from core.errors import SourceError
from core.walk import listing
from modalities.images.prepare.names import Names, plain
from modalities.images.prepare.raw import Box, Picture, Raw, account, choose, inside, lying, named, number, sides
from modalities.splits import split_of

NEEDS = "coco: JSON files with `images`, `annotations` and `categories`, at the top, in annotations/ or in train/, ..."
OTHER_KINDS = ("captions", "person_keypoints", "stuff", "panoptic", "image_info")


def find(root: Path) -> list[Path]:
    """The annotation files below `root`; empty: this is no COCO data set."""
    files = [path for path in lying(root, "*.json", "*/*.json") if _looks_like(path)]
    files = [path for path in files if not path.name.startswith(OTHER_KINDS)]
    return [file for file in files if file.name.startswith("instances_")] or files


def read(root: Path, files: list[Path], classes: list[str] | None, trusted: bool) -> Raw:
    """Every image and annotation of `files`. Raises: SourceError for bad JSON, a repeated id, an unknown class."""
    raw = Raw()
    contents = {file: _load(file, file.relative_to(root).as_posix()) for file in files}
    names = _classes(contents, root, raw)
    here = listing(root)
    pictures = Names(here)
    splits = [split_of(file.stem) or split_of(file.parent.name) for file in files]
    for file, split in zip(files, splits, strict=True):
        if split == "trainval" and {"train", "val"} & set(splits):
            raw.notes.append(f"{file.relative_to(root)} left out: it joins other splits")
            continue
        _read_file(raw, root, file, contents[file], "train" if split == "trainval" else split, pictures, trusted)
    choose(raw, names, classes)
    others = [path for path in here.files if path.suffix.lower() == ".json" and path not in files]
    if others:
        shown = named([here.name(path) for path in others])
        raw.notes.append(f"{len(others)} other JSON files are no annotations of boxes and left out, e.g. {shown}")
    account(raw, here, {*files, *others}, "pictures that no annotation file names")
    return raw


def _looks_like(file: Path) -> bool:
    data = file.read_bytes()
    return b'"images"' in data and b'"annotations"' in data


def _load(file: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        place = f"offset {error.pos} (line {error.lineno}, column {error.colno})"
        raise SourceError(f"{name}: no valid JSON at {place}: {error.msg}. Mend or export the file again") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: no UTF-8 text at byte {error.start}. Save the file as UTF-8") from None
    except ValueError as error:  # a number of thousands of digits
        raise SourceError(f"{name}: no valid JSON: {str(error)[:80]}") from None
    except RecursionError:
        raise SourceError(f"{name}: JSON nested too deeply for annotations") from None
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in keys):
        raise SourceError(f"{name}: expected a JSON object with the lists {', '.join(keys)}")
    return content


def _classes(contents: dict[Path, dict[str, Any]], root: Path, raw: Raw) -> list[str]:
    """Names by category id; without a mere parent of other categories, which Roboflow writes as id 0."""
    names: dict[str, None] = {}
    for file, content in contents.items():
        used = {_key(entry.get("category_id")) for entry in content["annotations"] if isinstance(entry, dict)}
        categories = _categories(content, file.relative_to(root).as_posix())
        parents = {entry.get("supercategory") for entry in content["categories"]}
        for key, name in sorted(categories.items(), key=lambda item: str(item[0]).zfill(12)):
            if name in parents and key not in used and len(categories) > 1:
                raw.notes.append(f"category {name!r} left out: it is only the parent of others")
            else:
                names.setdefault(name)
    return list(names)


def _categories(content: dict[str, Any], name: str) -> dict[Any, str]:
    categories: dict[Any, str] = {}
    for row, entry in enumerate(content["categories"], 1):
        if not isinstance(entry, dict) or "id" not in entry or not _is_name(entry.get("name")):
            found = f"{_kind(entry['name'])} as name" if isinstance(entry, dict) and "name" in entry else _kind(entry)
            raise SourceError(f"{name}: categories, row {row}: expected an object with `id` and `name`, found {found}")
        if _key(entry["id"]) in categories:
            raise SourceError(f"{name}: categories, row {row}, id: {entry['id']!r} stands twice; ids must be unique")
        categories[_key(entry["id"])] = str(entry["name"])
    return categories


def _read_file(
    raw: Raw, root: Path, file: Path, content: dict[str, Any], split: str | None, names: Names, trusted: bool
) -> None:
    name = file.relative_to(root).as_posix()
    categories = _categories(content, name)
    folders = _folders(root, file, split)
    short = Counter(
        plain(entry["file_name"]).rpartition("/")[2]
        for entry in content["images"]
        if isinstance(entry, dict) and isinstance(entry.get("file_name"), str)
    )
    pictures: dict[Any, Picture] = {}
    for row, entry in enumerate(content["images"], 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str) or "id" not in entry:
            raw.reject(name, row, "images", "an image is an object with `id` and `file_name`", _kind(entry))
            continue
        if _key(entry["id"]) in pictures:
            raise SourceError(f"{name}: images, row {row}, id: {entry['id']!r} stands twice; image ids must be unique")
        stated = entry["file_name"]
        path = _locate(stated, folders, root, trusted, short[plain(stated).rpartition("/")[2]] == 1, names)
        picture = Picture(path, stated, sides(entry.get("width"), entry.get("height")), split, name, row)
        picture.missing = "" if path else names.missing(stated, [place for place in folders if place.is_dir()])
        pictures[_key(entry["id"])] = picture
        raw.pictures.append(picture)
    for row, entry in enumerate(content["annotations"], 1):
        image = _get(pictures, entry.get("image_id")) if isinstance(entry, dict) else None
        if image is None:
            found = _kind(entry.get("image_id") if isinstance(entry, dict) else entry)
            raw.reject(name, row, "image_id", "an annotation names the id of an image in the same file", found)
            continue
        label = _get(categories, entry.get("category_id"))
        if label is None:
            known = named([_kind(number) for number in categories])
            raise SourceError(
                f"{name}: annotations, row {row}, category_id: unknown class id {_kind(entry.get('category_id'))}; "
                f"categories has {len(categories)}: {known}"
            )
        image.boxes.append(Box(label, _numbers(entry.get("bbox")), name, row, entry.get("iscrowd") in (1, "1")))


def _key(value: Any) -> Any:
    """An id that may serve as a key, whatever JSON value stands there; 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else repr(value)


def _get(table: dict[Any, Any], value: Any) -> Any:
    """What has the id `value`; where no id is that text, the number that it writes, and the other way round."""
    key = _key(value)
    if key in table:
        return table[key]
    if isinstance(value, str):
        written = number(value)
        return table.get(int(written)) if isinstance(written, float) and written.is_integer() else None
    return table.get(str(key))


def _kind(value: Any) -> str:
    """A JSON value with its type, for a message: the text '1', the number 1."""
    kinds = {str: "the text", bool: "", int: "the number", float: "the number", type(None): "", dict: "an object"}
    shown = "" if isinstance(value, dict) else repr(value)[:60]
    return f"{kinds.get(type(value), type(value).__name__)} {shown}".strip().replace("None", "null")


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _numbers(box: Any) -> list[Any]:
    return [number(value) for value in box] if isinstance(box, list) and len(box) == 4 else [box, None, None, None]


def _folders(root: Path, file: Path, split: str | None) -> list[Path]:
    """Where the images of an annotation file may lie, the likeliest first."""
    stem = file.stem.removeprefix("instances_")
    names = [stem, *([split] if split else []), *(["valid"] if split == "val" else [])]
    tops = [file.parent, root]
    return [
        *(top / name / part for top in reversed(tops) for name in names for part in ("", "images")),
        *(top / "images" / name for top in reversed(tops) for name in names),
        *(top / part for top in tops for part in ("", "images", "JPEGImages")),
    ]


def _locate(stated: str, folders: list[Path], root: Path, trusted: bool, alone: bool, names: Names) -> Path | None:
    """alone: no other image of the file has the same last name, so that it may do where folders were flattened."""
    if "\0" in stated:
        return None
    whole = plain(stated)
    for name in dict.fromkeys((stated, whole, *([whole.rpartition("/")[2]] if alone else []))):
        for folder in folders:
            if inside(folder / name, root, trusted):
                return folder / name
    found = [path for path in names.named(whole) if inside(path, root, trusted)]
    return found[0] if len(found) == 1 else None
