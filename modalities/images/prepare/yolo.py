"""YOLO text labels (https://docs.ultralytics.com/datasets/detect/): data.yaml, images/..., labels/....

`train`, `val` and `test` of data.yaml name folders of images, or .txt lists of their paths, relative to the file or
to its `path`, or as written on another machine. Darknet's `*.data` (CVAT, YOLO 1.1) says the same, and `classes.txt`
(labelImg, Label Studio) names the classes of pictures without splits. Labels lie where `images` in the path is replaced
by `labels`, or beside the picture.

A line is `class x_centre y_centre width height`, shares of the upright image. With `kpt_shape: [K, D]` in data.yaml K
points of D numbers follow (https://docs.ultralytics.com/datasets/pose/), else a longer line is a polygon, of which the
bounding box is taken. An image without a label file is a background example, and they are counted.
Rows are 1-based lines.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from core.errors import SourceError
from core.walk import listing, text, there
from modalities.images.prepare import polygons
from modalities.images.prepare.names import Names, plain
from modalities.images.prepare.raw import SUFFIXES, Box, Picture, Raw, account, choose, inside, lying, named, short
from modalities.splits import split_of

NEEDS = (
    "yolo: a data.yaml with `names` and `train` (folders or .txt lists of images), Darknet's *.data, or a classes.txt; "
    "labels/ beside images/, or each label beside its image"
)
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
CLASSES = ("classes.txt", "obj.names", "labels.names", "_darknet.labels")
"""Files of one class name a line, where nothing else says more."""


@dataclass
class _Set:
    """What the reader needs of a data set everywhere."""

    root: Path
    file: Path
    content: dict[str, Any]
    names: list[str]
    words: int | None
    """Of a line with key points; None: there are none."""
    trusted: bool
    pictures: Names
    texts: dict[str, Path]
    """Label files, by path without ending."""
    raw: Raw = field(default_factory=Raw)
    labels: set[Path] = field(default_factory=set)
    bare: list[tuple[str, str]] = field(default_factory=list)
    """Pictures without a label file, and where it was looked for first."""
    moved: list[str] = field(default_factory=list)
    """Paths of another machine, and what they were taken for."""
    places: dict[str, Path | None] = field(default_factory=dict)
    """What entries of data.yaml mean."""
    long: list[list[float]] = field(default_factory=list)
    """Numbers of lines that were read as polygons."""

    @property
    def bases(self) -> list[Path]:
        """Folders to which a path may be relative, the likeliest first."""
        stated = str(self.content.get("path") or "").strip().replace("\\", "/")
        return [self.file.parent / (stated or "."), self.file.parent, self.root]


def find(root: Path) -> list[Path]:
    """The file that describes the data set, as a list; empty: this is no YOLO data set."""
    for file in sorted(lying(root, "*.yaml", "*.yml"), key=lambda f: (f.stem != "data", f.name)):
        if _describes(file):
            return [file]
    for file in lying(root, "*/*.yaml", "*/*.yml"):  # config/data.yaml with `path: ..`
        if _describes(file):
            stated = str(_yaml(file).get("path") or "").replace("\\", "/")
            if stated and (file.parent / stated).resolve() == root.resolve():
                return [file]
    for file in lying(root, "*.data"):
        if {"train", "names"} <= set(_darknet(file)):
            return [file]
    names = [root / name for name in CLASSES if (root / name).is_file()]
    names += [root / "labels" / "classes.txt"] * (root / "labels" / "classes.txt").is_file()
    return names[:1] if names and _labelled(root) else []


def read(root: Path, files: list[Path], classes: list[str] | None, trusted: bool) -> Raw:
    """Every image and line. Raises: SourceError for a data.yaml that is unusable and for class numbers without name."""
    file, here = files[0], listing(root)
    content = _content(file, root)
    texts = {
        here.name(path.with_suffix("")): path
        for path in here.files
        if path.suffix.lower() == ".txt" and inside(path, root, trusted)
    }
    names = _names(content, file.name)
    data = _Set(root, file, content, names, _words(content, file.name), trusted, Names(here), texts)
    for key, split, entry in _stated(data):
        for path, stated in _images(data, entry, f"{file.name}: {key}"):
            _read_image(data, path, stated, split)
    if not any(content.get(key) for key in SPLITS):
        found = [path for path in here.files if path.suffix.lower() in SUFFIXES and inside(path, root, trusted)]
        splits = [_folder_split(here.name(path)) for path in found]
        for path, split in zip(found, splits, strict=True):
            _read_image(data, path, here.name(path), split if "train" in splits else None)
    if not data.raw.pictures:
        raise SourceError(f"{file.name}: no image found under train, val or test")
    polygons.refuse_points(data.long, file.name)
    _tell(data)
    choose(data.raw, names, classes)
    account(data.raw, here, {file, *data.labels}, "pictures that no split names")
    return data.raw


def _stated(data: _Set) -> list[tuple[str, str | None, str]]:
    """Key, split and entry of all that data.yaml names; a held-out split that names what train names is none (as
    coco128.yaml has it), and without another train is no split either."""
    rows: list[tuple[str, str | None, str]] = []
    for key, split in SPLITS.items():
        entries = data.content.get(key) or []
        rows += [(key, split, str(entry)) for entry in (entries if isinstance(entries, list) else [entries])]
    places = {entry: _place(data, entry) for _, split, entry in rows if split == "train"}
    twice = [(key, entry) for key, split, entry in rows if split != "train" and _place(data, entry) in places.values()]
    if not twice:
        return rows
    shown = ", ".join(key for key, _ in twice)
    data.raw.notes.append(f"{shown} names the same as train: no split of its own, a part of train takes its place")
    kept = [row for row in rows if (row[0], row[2]) not in twice]
    return kept if {split for _, split, _ in kept} - {"train"} else [(key, None, entry) for key, _, entry in kept]


def _folder_split(name: str) -> str | None:
    found = next((split for part in name.split("/")[:-1] if (split := split_of(part))), None)
    return "train" if found == "trainval" else found


def _describes(file: Path) -> bool:
    content = text(file)
    return "names" in content and ("train" in content or "val" in content)


def _labelled(root: Path) -> bool:
    """Whether a picture has a text file of its name."""
    here = listing(root)
    pictures = {path.stem for path in here.files if path.suffix.lower() in SUFFIXES}
    return any(path.suffix.lower() == ".txt" and path.stem in pictures for path in here.files)


def _content(file: Path, root: Path) -> dict[str, Any]:
    """What data.yaml says, or what the others mean in its words."""
    if file.suffix.lower() in (".yaml", ".yml"):
        return _yaml(file)
    if file.suffix.lower() != ".data":
        return {"names": _lines(file)}
    stated = _darknet(file)
    places = [base / plain(stated["names"]) for base in (file.parent, file.parent.parent)]
    places.append(file.parent / plain(stated["names"]).rpartition("/")[2])
    names = next((place for place in places if inside(place, root, trusted=False)), None)
    if names is None:
        raise SourceError(f"{file.name}: names: {stated['names']!r} is not in the data set")
    return {"names": _lines(names), **{key: stated[key] for key in SPLITS if stated.get(key)}}


def _darknet(file: Path) -> dict[str, str]:
    """`key = value` lines. A list that is not there is left out: CVAT names a valid.txt that it does not write."""
    pairs = (line.partition("=") for line in text(file).splitlines())
    values = {key.strip(): value.strip() for key, sign, value in pairs if sign and value.strip()}
    there = {path.name for path in file.parent.rglob("*.txt")}
    return {key: value for key, value in values.items() if key not in SPLITS or plain(value).split("/")[-1] in there}


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in text(file).splitlines() if line.strip()]


def _yaml(file: Path) -> dict[str, Any]:
    """All scalars as the text that stands there: YAML 1.1 would read the name `on` as true, and `010` as 8."""
    try:
        content = yaml.load(file.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)  # noqa: S506 - plain text only
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SourceError(f"{file.name}: no valid YAML: {short(' '.join(str(error).split()))}") from None
    except RecursionError:
        raise SourceError(f"{file.name}: YAML nested too deeply for a description of data") from None
    if not isinstance(content, dict):
        raise SourceError(f"{file.name}: expected a mapping with `names` and `train`")
    return content


def _names(content: dict[str, Any], file: str) -> list[str]:
    names = content.get("names")
    if isinstance(names, dict):
        numbers = {key.strip(): value for key, value in names.items()}
        names = [numbers[str(number)] for number in range(len(numbers)) if str(number) in numbers]
        names = names if len(names) == len(numbers) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise SourceError(f"{file}: `names` must be a list, or a mapping of 0, 1, 2, ... to names")
    if str(content.get("nc", len(names))).strip() != str(len(names)):
        raise SourceError(f"{file}: nc is {short(str(content['nc']))}, and `names` has {len(names)}")
    if empty := [str(number) for number, name in enumerate(names) if not name.strip()]:
        raise SourceError(f"{file}: names: class {', '.join(empty[:5])} has an empty name; name it")
    return [name.strip() for name in names]


def _words(content: dict[str, Any], file: str) -> int | None:
    """Words of a line of a pose data set."""
    shape = content.get("kpt_shape")
    if shape in (None, polygons.POLYGON):
        return None
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or not all(re.fullmatch(r"\s*\d{1,4}\s*", str(word)) for word in shape)
    ):
        raise SourceError(f"{file}: kpt_shape: expected [points, numbers of each], found {str(shape)[:40]}")
    return 5 + int(shape[0]) * int(shape[1])


def _images(data: _Set, entry: str, where: str) -> list[tuple[Path | None, str]]:
    """(file or None, stated name) of a folder's images, or of the lines of a list."""
    found = _place(data, entry)
    if found is None:
        raise SourceError(
            f"{where}: {short(entry)!r} is not in the data set; give a path relative to data.yaml, "
            "or name a folder that holds both in data.source"
        )
    if found.is_dir():
        here = listing(found)
        files = [f for f in here.files if f.suffix.lower() in SUFFIXES and inside(f, data.root, data.trusted)]
        return [(file, file.relative_to(data.root).as_posix()) for file in files]
    return [(_listed(data, line, found), line) for line in _lines(found)]


def _place(data: _Set, entry: str) -> Path | None:
    """The folder or list that an entry of data.yaml means, as a path below the root."""
    if entry not in data.places:
        data.places[entry] = _find_place(data, entry)
    return data.places[entry]


def _find_place(data: _Set, entry: str) -> Path | None:
    written = entry.strip().replace("\\", "/")
    names = (entry.strip(), written, written.lstrip("./") or ".")  # Roboflow: ../train/images, for one beside data.yaml
    for name in names:
        for base in data.bases:
            if (path := _below(base / name, data.root)) is not None:
                return path
    path = data.pictures.tail(written)
    if path is not None:
        data.moved.append(f"{entry} for {path.relative_to(data.root).as_posix()}")
    return path


def _below(path: Path, root: Path) -> Path | None:
    """`path` as one below the root, by its words or by its real place; None: it is not there, or elsewhere."""
    if not there(path):
        return None
    words, top = (Path(os.path.normpath(place.absolute())) for place in (path, root))
    for place, above in ((words, top), (path.resolve(), root.resolve())):
        if place.is_relative_to(above):
            return root / place.relative_to(above)
    return None


def _listed(data: _Set, line: str, file: Path) -> Path | None:
    """The picture that a line of a list names."""
    written = line.replace("\\", "/")
    for name in (line, written, written.lstrip("./")):
        for base in (file.parent, *data.bases):
            path = _below(base / name, data.root)
            if path is not None and inside(path, data.root, data.trusted):
                return path
    path = data.pictures.tail(written)
    if path is None or not inside(path, data.root, data.trusted):
        return None
    data.moved.append(f"{line} for {path.relative_to(data.root).as_posix()}")
    return path


def _read_image(data: _Set, path: Path | None, stated: str, split: str | None) -> None:
    picture = Picture(path, stated, None, split, short(stated), 1, relative=True)
    data.raw.pictures.append(picture)
    if path is None:
        picture.missing = data.pictures.missing(stated, [data.root])
        return
    places = _labels(path, data.root)
    labels = next((data.texts[place] for place in places if place in data.texts), None)
    if labels is None:
        data.bare.append((picture.name, places[0]))
        return
    data.labels.add(labels)
    name = labels.relative_to(data.root).as_posix()
    for row, line in enumerate(text(labels).splitlines(), 1):
        if words := line.split():
            _read_line(data, picture, words, name, row)


def _labels(path: Path, root: Path) -> list[str]:
    """Where the labels of a picture may lie, the likeliest first; without ending."""
    *folders, last = path.relative_to(root).with_suffix("").parts
    places = []
    at = next((i for i in reversed(range(len(folders))) if folders[i].lower() == "images"), None)
    if at is not None:
        places = ["/".join([*folders[:at], word, *folders[at + 1 :], last]) for word in ("labels", "Labels", "LABELS")]
    return [*places, "/".join([*folders, last])]


def _read_line(data: _Set, picture: Picture, words: list[str], file: str, row: int) -> None:
    raw = data.raw
    if not _right_length(len(words), data.words):
        points = "or a polygon" if data.words is None else f"and {data.words - 5} numbers of key points"
        reason = f"expected `class x y width height`, {points}"
        raw.reject(file, row, "line", reason, f"{len(words)} words", picture)
        return
    number = _class(words[0])
    if number is None:
        raw.reject(file, row, "class", "expected a class number", words[0], picture)
        return
    if number >= len(data.names):
        raise SourceError(f"{file}: line {row}, class: unknown class {number}; names has 0 to {len(data.names) - 1}")
    try:
        values: list[Any] = [float(word) for word in words[1:]]
    except ValueError:
        picture.boxes.append(Box(data.names[number], [*words[1:5]], file, row))
        return
    if len(values) > 4 and data.words is None:
        if "kpt_shape" not in data.content:
            data.long.append(values)
        box = polygons.bounds(values)
    else:
        x, y, width, height = values[:4]
        box = [x - width / 2, y - height / 2, width, height]
    picture.boxes.append(Box(data.names[number], box, file, row))


def _right_length(words: int, posed: int | None) -> bool:
    if posed is not None:
        return words in (5, posed)
    return words == 5 or (words > 6 and words % 2 == 1)


def _class(word: str) -> int | None:
    """Tools that keep a table of numbers write `0.0`."""
    try:
        value = float(word)
    except ValueError:
        return None
    return int(value) if value >= 0 and value.is_integer() else None


def _tell(data: _Set) -> None:
    """Notes of what was taken for what, and of pictures without and labels without their other half."""
    notes = data.raw.notes
    if data.moved:
        notes.append(f"{len(data.moved)} paths of another machine taken by their ends: {named(data.moved)}")
    if data.bare:
        picture, place = data.bare[0]
        notes.append(
            f"{len(data.bare)} pictures have no label file and are background examples, "
            f"e.g. {picture} (looked for {place}.txt)"
        )
    lists = {place for key in SPLITS for place in _entries(data.content.get(key))}
    about = {path for path in data.texts.values() if path.name in (*CLASSES, *lists)}
    folders = {path.parent for path in data.labels}
    strays = [path for path in data.texts.values() if path not in data.labels | about and path.parent in folders]
    if strays:
        names = [path.relative_to(data.root).as_posix() for path in strays]
        notes.append(f"{len(names)} label files without a picture left out, e.g. {named(names)}")
    data.labels |= about | set(strays)


def _entries(value: Any) -> list[str]:
    return [plain(str(entry)).rpartition("/")[2] for entry in (value if isinstance(value, list) else [value or ""])]
