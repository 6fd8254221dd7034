"""Histories as people have them: text as of a CSV file, a line a step, the newest last.

With a header the columns are found by name, without one they are the values in order. What lies before the window is
not looked at.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from core.errors import DataError
from core.visible import visible
from modalities.series.inputs.windows import Floats

SEPARATORS = ",;\t"
LARGEST = float(np.finfo(np.float32).max)


def texts(values: Sequence[str], seen: Floats, first: Iterable[int], window: int) -> list[str]:
    """Windows of `seen` (steps, values) that begin at `first`, with a header."""
    head = io.StringIO()
    csv.writer(head, lineterminator="\n").writerow(values)
    rows = [",".join(map(str, row)) for row in seen]
    return [head.getvalue() + "\n".join(rows[i : i + window]) for i in first]


def parse(text: Any, values: Sequence[str], window: int, name: str) -> Floats:
    """(window, values) of a text; name: what an error calls it. Raises: DataError naming line and column."""
    if not isinstance(text, str):
        raise DataError(f"{name}: expected text as of a CSV file, found {type(text).__name__}")
    separator = max(SEPARATORS, key=text.lstrip().partition("\n")[0].count)
    try:
        rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=separator))
    except csv.Error as error:
        raise DataError(f"{name}: no CSV: {error}") from None
    lines = [(number, row) for number, row in enumerate(rows, 1) if row]
    columns, width = list(range(len(values))), len(values)
    if lines and any(number(cell) is None for cell in lines[0][1]):
        head = [cell.strip() for cell in lines.pop(0)[1]]
        if lacking := [value for value in values if value not in head]:
            raise DataError(f"{name}: has no column {lacking[0]!r}, found {visible(str(head[:8]))}")
        columns, width = [head.index(value) for value in values], len(head)
    if len(lines) < window:
        raise DataError(f"{name}: has {len(lines)} steps, expected at least {window}, the model's window")
    found = np.empty((window, len(values)), np.float32)
    for i, (line, row) in enumerate(lines[-window:]):
        if len(row) != width:
            raise DataError(f"{name}, line {line}: has {len(row)} cells, expected {width}")
        for j, column in enumerate(columns):
            if (value := number(row[column])) is None:
                shown = visible(row[column][:40])
                raise DataError(f"{name}, line {line}: {values[j]} is {shown!r}, expected a finite number")
            found[i, j] = value
    return found


def number(cell: str) -> float | None:
    """None: it is no finite number of 32 bits."""
    try:
        found = float(cell)
    except ValueError:
        return None
    return found if math.isfinite(found) and abs(found) <= LARGEST else None


def item(value: str) -> Floats:
    """All steps of a text of `texts`."""
    rows = [row for row in csv.reader(io.StringIO(value, newline="")) if row]
    return np.array(rows[1:], np.float32)
