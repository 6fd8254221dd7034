"""What the readers of the formats hand on: images and boxes as the source states them, bad ones included."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import SourceError, suggest
from core.visible import visible
from core.walk import Listing, inside, is_hidden
from modalities.images.inputs.formats import SUFFIXES, UNREAD

__all__ = ["SUFFIXES", "Box", "Picture", "Raw", "inside", "known_class", "lying", "named"]
SHOWN = 3
"""Files that a note names."""
NAME = 250
"""Characters that are shown of a name or a value."""
FOUND = 200
"""Characters that are shown of what was found."""


@dataclass(slots=True)
class Box:
    label: str
    numbers: list[Any] | None
    """x, y, width, height as stated, pixels; anything that a file may hold, also NaN, text or null. None: the label is
    that of the whole picture."""
    file: str
    row: int
    crowd: bool = False


@dataclass(slots=True)
class Picture:
    path: Path | None
    """None: the source names it, and has no such file."""
    name: str
    """As the source names it."""
    size: tuple[Any, Any] | None
    """Width and height as stated; None: the format states none."""
    split: str | None
    file: str
    row: int
    boxes: list[Box] = field(default_factory=list)
    relative: bool = False
    """Whether the boxes are shares of the image's size instead of pixels."""
    unread: int = 0
    """Labels that could not be read: without a good one, the picture is no background example."""
    missing: str = ""
    """Of a picture without a file: where it was looked for, and what there is instead."""


@dataclass
class Raw:
    pictures: list[Picture] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    """In the source's order."""
    rejected: list[dict[str, Any]] = field(default_factory=list)
    """Rows that are neither an image nor a box: {"file", "row", "field", "reason"}."""
    notes: list[str] = field(default_factory=list)

    def reject(
        self, file: str, row: int, column: str, reason: str, found: str = "", picture: Picture | None = None
    ) -> None:
        """reason: the same for every row of a kind; found: what stands in this one; picture: whose label it was."""
        texts = {"file": file, "field": column, "reason": reason, "found": found[:FOUND]}
        self.rejected.append({"row": row} | {key: visible(text) for key, text in texts.items()})
        if picture is not None:
            picture.unread += 1


def named(files: list[str]) -> str:
    """The first few of some names, for a note."""
    return ", ".join(map(short, files[:SHOWN])) + (", ..." if len(files) > SHOWN else "")


def short(text: str) -> str:
    """As much of a name or a value as a message has room for."""
    return text if len(text) <= NAME else f"{text[:NAME]}..."


def lying(root: Path, *patterns: str) -> list[Path]:
    """Files of these patterns, sorted: no folders, pipes or links that lead nowhere, and nothing that is hidden."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(path for path in found if not any(map(is_hidden, path.relative_to(root).parts)))


def known_class(label: str, classes: list[str], where: str) -> None:
    """Refuse a class that is not among `classes`. Raises: SourceError."""
    if label not in classes:
        raise SourceError(
            f"{where}: unknown class {label!r}; {suggest(label, classes)}. "
            "Mend the annotation, or list every class in data.classes"
        )


def choose(raw: Raw, names: list[str], classes: list[str] | None) -> None:
    """Set the classes: `data.classes` is a selection, and what nobody uses of the source's `names` is no class.

    Boxes of other classes are left out and counted. Raises: SourceError for a class in `classes` that no box has and
    no name is.
    """
    counts = Counter(box.label for picture in raw.pictures for box in picture.boxes)
    if classes:
        known = list(dict.fromkeys([*names, *counts]))
        for label in classes:
            if label not in known:
                raise SourceError(f"data.classes: unknown class {label!r}; {suggest(label, known)}")
        for picture in raw.pictures:
            picture.boxes = [box for box in picture.boxes if box.label in classes]
        if others := [f"{label} ({count:,})" for label, count in counts.most_common() if label not in classes]:
            boxes = sum(count for label, count in counts.items() if label not in classes)
            raw.notes.append(f"{boxes:,} boxes of classes that data.classes does not list left out: {named(others)}")
        raw.classes = classes
        return
    raw.classes = [name for name in dict.fromkeys(names) if counts[name]]
    if unused := [name for name in dict.fromkeys(names) if not counts[name]]:
        raw.notes.append(f"{len(unused)} classes without a box left out: {named(unused)}")


def account(raw: Raw, files: Listing, labels: set[Path], unlabelled: str) -> None:
    """Tell of what lies in the source and was not read, each kind in a note of its own.

    labels: files that were read as labels; unlabelled: what a picture that nothing names lacks.
    """
    used = {picture.path for picture in raw.pictures} | labels
    left: dict[str, list[Path]] = {}
    for path in files.files:
        if path in used:
            continue
        suffix = path.suffix.lower()
        kind = unlabelled if suffix in SUFFIXES else "pictures or films of a kind that is not read" * (suffix in UNREAD)
        left.setdefault(kind or "other files", []).append(path)
    left["hidden or temporary files"] = files.hidden
    for kind, paths in left.items():
        if paths:
            raw.notes.append(f"{len(paths)} {kind} left out, e.g. {named([files.name(path) for path in paths])}")


def number(value: Any) -> Any:
    """A number, also where it is written as text; anything else as it is.

    >>> number("96"), number(" 1e3 "), number(7), number("wide"), number(True)
    (96.0, 1000.0, 7, 'wide', True)
    """
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def sides(width: Any, height: Any) -> tuple[Any, Any] | None:
    """A stated size; None where nothing, 0 or an empty text is stated, which tools write for what they do not know."""
    found = (number(width), number(height))
    unknown = any(side is None or side == 0 or (isinstance(side, str) and not side.strip()) for side in found)
    return None if unknown else found
