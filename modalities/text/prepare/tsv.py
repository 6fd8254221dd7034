"""TSV: one pair a line, columns separated by a tab, no quoting; a header names languages (`en`, `ja`) or sides.

Without a header the first column is the source and the second the target; further columns are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modalities.splits import split_of
from modalities.text.prepare.raw import SOURCE_NAMES, TARGET_NAMES, Raw, lines, named_side

NEEDS = "tsv: files *.tsv with a header that names {source} and {target}, or of two columns, the source first"


def find(files: Sequence[Path], data: Any) -> list[tuple[Path, ...]]:
    return [(path,) for path in files if path.suffix.lower() in (".tsv", ".tab")]


def read(units: Sequence[tuple[Path, ...]], root: Path, data: Any) -> Raw:
    raw = Raw()
    for (path,) in units:
        name = str(path.relative_to(root))
        columns: tuple[int, int] | None = None
        for number, text, bad in lines(path, name, raw):
            if text is None:
                raw.reject(name, number, "line", bad)
                continue
            cells = text.split("\t")
            if columns is None:
                columns = header(cells, data)
                if columns:
                    continue
                columns = (0, 1)
                raw.notes.append(f"{name} has no header: column 1 is the source, column 2 the target")
            if len(cells) <= max(columns):
                raw.reject(name, number, "line", f"has {max(columns) + 1} columns; found {len(cells)}")
                continue
            raw.add(split_of(path.stem), cells[columns[0]], cells[columns[1]], name, number)
    return raw


def header(cells: Sequence[str], data: Any) -> tuple[int, int] | None:
    """Positions of source and target if `cells` is a header, else None."""
    names = [cell.strip().strip("\ufeff") for cell in cells]
    source = named_side(names, data.source_language, SOURCE_NAMES)
    target = named_side(names, data.target_language, TARGET_NAMES)
    return (names.index(source), names.index(target)) if source and target else None
