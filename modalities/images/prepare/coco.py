"""COCO detection JSON (https://cocodataset.org/#format-data): one annotation file, or one a split.

Layouts: `annotations/instances_train2017.json` with `train2017/` or `images/train2017/`; Roboflow's
`train/_annotations.coco.json` with the images beside it; any `*.json` at the top with the images in `images/`.
Rows are 1-based positions in `images` and `annotations`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.errors import SourceError
from modalities.images.prepare.raw import Box, Picture, Raw, inside, known_class
from modalities.splits import split_of

NEEDS = "coco: JSON files with `images`, `annotations` and `categories`, at the top, in annotations/ or in train/, ..."
OTHER_KINDS = ("captions", "person_keypoints", "stuff", "panoptic", "image_info")


def find(root: Path) -> list[Path]:
    """The annotation files below `root`; empty: this is no COCO data set."""
    files = sorted([*root.glob("*.json"), *root.glob("*/*.json")])
    files = [file for file in files if not file.name.startswith(OTHER_KINDS) and _looks_like(file)]
    return [file for file in files if file.name.startswith("instances_")] or files


def read(root: Path, files: list[Path], classes: list[str] | None, trusted: bool) -> Raw:
    """Every image and annotation of `files`. Raises: SourceError for bad JSON, a repeated id, an unknown class."""
    raw = Raw()
    contents = {file: _load(file, file.relative_to(root).as_posix()) for file in files}
    raw.classes = classes or _classes(contents, root, raw)
    splits = [split_of(file.stem) or split_of(file.parent.name) for file in files]
    for file, split in zip(files, splits, strict=True):
        if split == "trainval" and {"train", "val"} & set(splits):
            raw.notes.append(f"{file.relative_to(root)} left out: it joins other splits")
            continue
        _read_file(raw, root, file, contents[file], "train" if split == "trainval" else split, trusted)
    return raw


def _looks_like(file: Path) -> bool:
    data = file.read_bytes()
    return (b'"images"' in data and b'"annotations"' in data) or file.parent.name == "annotations"


def _load(file: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        place = f"offset {error.pos} (line {error.lineno}, column {error.colno})"
        raise SourceError(f"{name}: no valid JSON at {place}: {error.msg}. Mend or export the file again") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: no UTF-8 text at byte {error.start}. Save the file as UTF-8") from None
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
        used = {entry.get("category_id") for entry in content["annotations"] if isinstance(entry, dict)}
        named = _categories(content, file.relative_to(root).as_posix())
        parents = {entry.get("supercategory") for entry in content["categories"]}
        for number, name in sorted(named.items(), key=lambda item: str(item[0]).zfill(12)):
            if name in parents and number not in used and len(named) > 1:
                raw.notes.append(f"category {name!r} left out: it is only the parent of others")
            else:
                names.setdefault(name)
    return list(names)


def _categories(content: dict[str, Any], name: str) -> dict[Any, str]:
    categories: dict[Any, str] = {}
    for row, entry in enumerate(content["categories"], 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or "id" not in entry:
            raise SourceError(f"{name}: categories, row {row}: expected an object with `id` and `name`")
        if _key(entry["id"]) in categories:
            raise SourceError(f"{name}: categories, row {row}, id: {entry['id']!r} stands twice; ids must be unique")
        categories[_key(entry["id"])] = entry["name"]
    return categories


def _read_file(raw: Raw, root: Path, file: Path, content: dict[str, Any], split: str | None, trusted: bool) -> None:
    name = file.relative_to(root).as_posix()
    categories = _categories(content, name)
    folders = _folders(root, file, split)
    pictures: dict[Any, Picture] = {}
    for row, entry in enumerate(content["images"], 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str) or "id" not in entry:
            raw.reject(name, row, "images", "an image is an object with `id` and `file_name`")
            continue
        if _key(entry["id"]) in pictures:
            raise SourceError(f"{name}: images, row {row}, id: {entry['id']!r} stands twice; image ids must be unique")
        path = _locate(entry["file_name"], folders, root, trusted)
        size = (entry.get("width"), entry.get("height"))
        picture = Picture(path, entry["file_name"], None if size == (None, None) else size, split, name, row)
        pictures[_key(entry["id"])] = picture
        raw.pictures.append(picture)
    for row, entry in enumerate(content["annotations"], 1):
        image = pictures.get(_key(entry.get("image_id"))) if isinstance(entry, dict) else None
        if image is None:
            raw.reject(name, row, "image_id", "an annotation names the id of an image in the same file")
            continue
        number = _key(entry.get("category_id"))
        where = f"{name}: annotations, row {row}, category_id"
        if number not in categories:
            raise SourceError(f"{where}: unknown class id {number!r}; categories has {sorted(map(str, categories))}")
        known_class(categories[number], raw.classes, where)
        image.boxes.append(Box(categories[number], _numbers(entry.get("bbox")), name, row, entry.get("iscrowd") == 1))


def _key(value: Any) -> Any:
    """An id that may serve as a key, whatever JSON value stands there."""
    return value if isinstance(value, int | str) else repr(value)


def _numbers(box: Any) -> list[Any]:
    return box if isinstance(box, list) and len(box) == 4 else [box, None, None, None]


def _folders(root: Path, file: Path, split: str | None) -> list[Path]:
    """Where the images of an annotation file may lie, the likeliest first."""
    stem = file.stem.removeprefix("instances_")
    names = [stem, *([split] if split else []), *(["valid"] if split == "val" else [])]
    tops = [file.parent, root]
    return [
        *(top / name / part for top in reversed(tops) for name in names for part in ("", "images")),
        *(top / "images" / name for top in reversed(tops) for name in names),
        *(top / part for top in tops for part in ("", "images")),
    ]


def _locate(stated: str, folders: list[Path], root: Path, trusted: bool) -> Path | None:
    if "\0" in stated:
        return None
    for name in dict.fromkeys((stated, Path(stated.replace("\\", "/")).name)):
        for folder in folders:
            if inside(folder / name, root, trusted):
                return folder / name
    return None
