"""A table of pictures and their labels: CSV or TSV with a header, or JSONL; one for all, or train.csv, ....

Columns or keys, whatever their case: the picture's path (one of `PATHS`), its label (`LABEL`) or labels (`LABELS`:
several, separated by `|`, or a list in JSONL; an empty value is none at all), and `split` where one table has them all.
Paths are relative to the table, or to the data set's folder, or to a folder images/ of either. Rows with one path are
one picture with the labels of them all. Rows are 1-based lines of the file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import SourceError
from core.walk import listing
from modalities.images.prepare.raw import SUFFIXES, Box, Picture, Raw, inside, known_class, lying, named
from modalities.splits import split_of

PATHS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "picture", "img")
LABEL = ("label", "class", "category", "class_name", "species")
LABELS = ("labels", "classes", "categories", "tags")
SPLIT = ("split", "subset", "fold")
TABLES = {".csv": ",", ".tsv": "\t"}
"""Suffixes -> what stands between two fields."""
BETWEEN = "|"
"""Stands between two labels."""
NEEDS = (
    f"manifest: a .csv or .tsv with a header, or a .jsonl, with a path ({', '.join(PATHS[:4])}, ...) and a label "
    f"({', '.join(LABEL[:3])}, ... or {', '.join(LABELS[:2])} separated by {BETWEEN}) in each row"
)
Row = tuple[int, dict[str, Any]]
"""Number and values by lower-case name."""


def find(root: Path) -> list[Path]:
    """The tables; empty: this is no such data set."""
    files = [path for path in lying(root, "*") if path.suffix.lower() in (*TABLES, ".jsonl")]
    found = [file for file in files if _columns(_names(file))]
    split = [file for file in found if split_of(file.stem)]
    return split or found


def read(root: Path, files: list[Path], classes: list[str] | None, trusted: bool) -> Raw:
    """Every row of `files`. Raises: SourceError for several tables that are no splits, and for unknown classes."""
    if len(files) > 1 and not all(split_of(file.stem) for file in files):
        listed = ", ".join(file.name for file in files)
        raise SourceError(
            f"{root} has several tables of pictures ({listed}); name them train, val and test, or keep one"
        )
    raw = Raw()
    pictures: dict[tuple[str | None, str], Picture] = {}
    for file in files:
        _read_file(raw, pictures, root, file, trusted)
    raw.pictures = list(pictures.values())
    raw.classes = classes or sorted({box.label for picture in raw.pictures for box in picture.boxes})
    for picture in raw.pictures:
        for box in picture.boxes:
            known_class(box.label, raw.classes, f"{box.file}: row {box.row}, label")
    _unlisted(raw, root)
    return raw


def _read_file(
    raw: Raw, pictures: dict[tuple[str | None, str], Picture], root: Path, file: Path, trusted: bool
) -> None:
    whole = split_of(file.stem)
    path_name, label_name, several = _columns(_names(file)) or ("", "", False)
    for row, values in _rows(file, raw):
        stated, label = values.get(path_name), values.get(label_name)
        split = whole or _split(values)
        if not isinstance(stated, str) or not stated.strip():
            raw.reject(file.name, row, path_name, f"expected the path of a picture, found {_found(stated)}")
            continue
        labels = _labels(label, several)
        if labels is None:
            raw.reject(file.name, row, label_name, f"expected a label, found {_found(label)}")
            continue
        if split == "":
            raw.reject(file.name, row, "split", f"expected train, val or test, found {_found(values.get('split'))}")
            continue
        stated = stated.strip()
        picture = pictures.get((split, stated))
        if picture is None:
            picture = Picture(_locate(stated, file, root, trusted), stated, None, split, file.name, row)
            pictures[split, stated] = picture
        known = {box.label for box in picture.boxes}
        picture.boxes += [Box(name, None, file.name, row) for name in labels if name not in known]


def _names(file: Path) -> list[str]:
    """Lower-case names of the columns, or of the keys of the first row; empty for what is no table."""
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as opened:
        first = opened.readline()
    try:
        if file.suffix.lower() in TABLES:
            names = next(csv.reader([first], delimiter=TABLES[file.suffix.lower()]), [])
            return [name.strip().lower() for name in names]
        values = json.loads(first)
    except (ValueError, RecursionError, csv.Error):
        return []
    return [str(name).lower() for name in values] if isinstance(values, dict) else []


def _columns(names: list[str]) -> tuple[str, str, bool] | None:
    """Names of path and label, and whether a row may have several labels."""
    path = next((name for name in PATHS if name in names), None)
    label = next((name for name in (*LABELS, *LABEL) if name in names), None)
    return None if path is None or label is None else (path, label, label in LABELS)


def _rows(file: Path, raw: Raw) -> Iterator[Row]:
    """What is no row at all is rejected here."""
    text = file.read_bytes().decode("utf-8-sig", errors="replace")
    if file.suffix.lower() not in TABLES:
        for row, line in enumerate(text.splitlines(), 1):
            if line.strip() and (values := _object(line, file, row, raw)) is not None:
                yield row, values
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=TABLES[file.suffix.lower()])
    names = [name.strip().lower() for name in next(reader)]
    row = reader.line_num
    while True:
        row = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raw.reject(file.name, row, "row", f"no row of CSV: {error}")
            continue
        if len(fields) == len(names):
            yield row, dict(zip(names, fields, strict=True))
        elif fields:
            raw.reject(file.name, row, "row", f"expected {len(names)} fields as in the header, found {len(fields)}")


def _object(line: str, file: Path, row: int, raw: Raw) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raw.reject(file.name, row, "row", f"no valid JSON: {str(error)[:80]}")
        return None
    if not isinstance(values, dict):
        raw.reject(file.name, row, "row", f"expected a JSON object, found {_found(values)}")
        return None
    return {str(name).lower(): value for name, value in values.items()}


def _labels(value: Any, several: bool) -> list[str] | None:
    """None: that is no label."""
    if several and isinstance(value, str | list):
        parts = value.split(BETWEEN) if isinstance(value, str) else value
        names = [_label(part) for part in parts if part != ""]
        return None if None in names else list(dict.fromkeys(name for name in names if name))
    name = _label(value)
    return [name] if name else None


def _label(value: Any) -> str | None:
    """Text, or a number as text."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def _split(values: dict[str, Any]) -> str | None:
    """None: the row says nothing; "": what it says is no split."""
    stated = next((values[name] for name in SPLIT if values.get(name) not in (None, "")), None)
    if stated is None:
        return None
    found = split_of(str(stated))
    return "" if found in (None, "trainval") else found


def _locate(stated: str, file: Path, root: Path, trusted: bool) -> Path | None:
    if "\0" in stated:
        return None
    plain = stated.replace("\\", "/").lstrip("/")
    places = [file.parent, root, file.parent / "images", root / "images", root / file.stem]
    return next((place / plain for place in places if inside(place / plain, root, trusted)), None)


def _unlisted(raw: Raw, root: Path) -> None:
    """Tell of pictures that no row names."""
    listed, here = {picture.path for picture in raw.pictures}, listing(root)
    for paths, what in ((here.files, "pictures that no row names"), (here.hidden, "hidden files")):
        names = [here.name(path) for path in paths if path.suffix.lower() in SUFFIXES and path not in listed]
        if names:
            raw.notes.append(f"{len(names)} {what} left out, e.g. {named(names)}")


def _found(value: Any) -> str:
    return "nothing" if value in (None, "") else repr(value)[:60]
