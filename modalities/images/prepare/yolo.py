"""YOLO text labels (https://docs.ultralytics.com/datasets/detect/): data.yaml, images/..., labels/....

`train`, `val` and `test` name folders of images, or .txt lists of their paths; labels lie where `images` in the path is
replaced by `labels`. A line is `class x_centre y_centre width height`, shares of the upright image; longer lines are
polygons, of which the bounding box is taken. An image without a label file is a background example.
Rows are 1-based lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from core.errors import SourceError
from modalities.images.prepare.raw import SUFFIXES, Box, Picture, Raw, inside, known_class

NEEDS = "yolo: a data.yaml with `names` and `train` (folders or .txt lists of images), and labels/ beside images/"
SPLITS = {"train": "train", "val": "val", "valid": "val", "test": "test"}


def find(root: Path) -> list[Path]:
    """The data.yaml, as a list; empty: this is no YOLO data set."""
    for file in sorted([*root.glob("*.yaml"), *root.glob("*.yml")], key=lambda f: (f.stem != "data", f.name)):
        text = file.read_text(encoding="utf-8", errors="replace")
        if "names" in text and ("train" in text or "val" in text):
            return [file]
    return []


def read(root: Path, files: list[Path], classes: list[str] | None, trusted: bool) -> Raw:
    """Every image and line. Raises: SourceError for a data.yaml that is unusable and for class numbers without name."""
    content = _load(files[0])
    names = _names(content, files[0].name)
    for name in names if classes else []:
        known_class(name, classes or [], f"{files[0].name}: names")
    raw = Raw(classes=classes or names)
    for key, split in SPLITS.items():
        entries = content.get(key) or []
        for entry in entries if isinstance(entries, list) else [entries]:
            for path, stated in _images(root, content, str(entry), f"{files[0].name}: {key}", trusted):
                _read_image(raw, root, path, stated, split, names, trusted)
    if not raw.pictures:
        raise SourceError(f"{files[0].name}: no image found under train, val or test")
    return raw


def _load(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SourceError(f"{file.name}: no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise SourceError(f"{file.name}: expected a mapping with `names` and `train`")
    return content


def _names(content: dict[str, Any], file: str) -> list[str]:
    names = content.get("names")
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise SourceError(f"{file}: `names` must be a list, or a mapping of 0, 1, 2, ... to names")
    if content.get("nc", len(names)) != len(names):
        raise SourceError(f"{file}: nc is {content['nc']!r}, and `names` has {len(names)}")
    return [str(name) for name in names]


def _images(
    root: Path, content: dict[str, Any], entry: str, where: str, trusted: bool
) -> list[tuple[Path | None, str]]:
    """(file or None, stated name) of a folder's images, or of the lines of a list."""
    bases = [root / str(content.get("path") or "."), root]
    plain = entry.lstrip("./") or "."  # Roboflow writes ../train/images for a folder beside data.yaml
    places = [base / name for name in (entry, plain) for base in bases]
    found = next((p for p in places if p.exists() and p.resolve().is_relative_to(root.resolve())), None)
    if found is None:
        raise SourceError(f"{where}: {entry!r} is not in the data set; give a path relative to data.yaml")
    if found.is_dir():
        files = [f for f in sorted(found.rglob("*")) if f.suffix.lower() in SUFFIXES and inside(f, root, trusted)]
        return [(file, file.relative_to(root).as_posix()) for file in files]
    rows: list[tuple[Path | None, str]] = []
    for line in found.read_text(encoding="utf-8-sig").splitlines():
        if name := line.strip():
            options = [found.parent / name, *(base / name for base in bases), root / name.lstrip("./")]
            rows.append((next((p for p in options if inside(p, root, trusted)), None), name))
    return rows


def _read_image(
    raw: Raw, root: Path, path: Path | None, stated: str, split: str, names: list[str], trusted: bool
) -> None:
    picture = Picture(path, stated, None, split, stated, 1, relative=True)
    raw.pictures.append(picture)
    if path is None:
        return
    labels = _labels(path, root)
    if not inside(labels, root, trusted):
        return
    name = labels.relative_to(root).as_posix()
    for row, line in enumerate(labels.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if words := line.split():
            _read_line(raw, picture, words, names, name, row)


def _labels(path: Path, root: Path) -> Path:
    parts = list(path.relative_to(root).parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts).with_suffix(".txt")


def _read_line(raw: Raw, picture: Picture, words: list[str], names: list[str], file: str, row: int) -> None:
    if len(words) < 5 or (len(words) > 5 and len(words) % 2 == 0):
        raw.reject(file, row, "line", f"expected `class x y width height`, found {len(words)} words")
        return
    if not words[0].isdecimal():
        raw.reject(file, row, "class", f"expected a class number, found {words[0][:40]!r}")
        return
    if int(words[0]) >= len(names):
        raise SourceError(f"{file}: line {row}, class: unknown class {words[0]}; names has 0 to {len(names) - 1}")
    try:
        values: list[Any] = [float(word) for word in words[1:]]
    except ValueError:
        picture.boxes.append(Box(names[int(words[0])], [*words[1:5]], file, row))
        return
    if len(values) > 4:
        xs, ys = values[0::2], values[1::2]
        box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    else:
        x, y, width, height = values
        box = [x - width / 2, y - height / 2, width, height]
    picture.boxes.append(Box(names[int(words[0])], box, file, row))
