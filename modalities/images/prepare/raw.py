"""What the readers of the formats hand on: images and boxes as the source states them, bad ones included."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import SourceError, suggest

SHOWN = 3
"""Files that a note names."""
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass
class Box:
    label: str
    numbers: list[Any] | None
    """x, y, width, height as stated, pixels; anything that a file may hold, also NaN, text or null. None: the label is
    that of the whole picture."""
    file: str
    row: int
    crowd: bool = False


@dataclass
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


@dataclass
class Raw:
    pictures: list[Picture] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    """In the source's order."""
    rejected: list[dict[str, Any]] = field(default_factory=list)
    """Rows that are neither an image nor a box: {"file", "row", "field", "reason"}."""
    notes: list[str] = field(default_factory=list)

    def reject(self, file: str, row: int, column: str, reason: str) -> None:
        self.rejected.append({"file": file, "row": row, "field": column, "reason": reason})


def named(files: list[str]) -> str:
    """The first few of some names, for a note."""
    return ", ".join(files[:SHOWN]) + (", ..." if len(files) > SHOWN else "")


def known_class(label: str, classes: list[str], where: str) -> None:
    """Refuse a class that is not among `classes`. Raises: SourceError."""
    if label not in classes:
        raise SourceError(
            f"{where}: unknown class {label!r}; {suggest(label, classes)}. "
            "Mend the annotation, or list every class in data.classes"
        )


def inside(path: Path, root: Path, trusted: bool) -> bool:
    """Whether `path` is a file that may be read: below `root`, by its real place unless the source is `trusted`."""
    if not path.is_file():
        return False
    if trusted:
        return ".." not in path.relative_to(root).parts if path.is_relative_to(root) else False
    return path.resolve().is_relative_to(root.resolve())
