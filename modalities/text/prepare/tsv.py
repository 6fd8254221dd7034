"""TSV and CSV: one pair a row; a header names languages (`en`, `jpn`, `German`) or sides (`source`, `target`).

A TSV is plain, without quoting, unless its fields plainly are quoted as `csv`, pandas and spreadsheets write them; a
CSV is quoted always, and has a header. Without a header there are two columns of text, the source first; columns of
numbers, licences or addresses hold no sentences. Rows are 1-based lines.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.errors import SourceError
from modalities.splits import split_of
from modalities.text.prepare.files import content, parts, suffix
from modalities.text.prepare.raw import NOT_UTF8, SOURCE_NAMES, TARGET_NAMES, Raw, lines, name_of, named_side

NEEDS = (
    "tsv: files *.tsv with a header that names {source} and {target}, or of two columns, the source first; "
    "*.csv with such a header"
)
LOOKED_AT = 200
"""Rows from which columns are told."""
Row = tuple[int, list[str]]


def find(files: Sequence[Path], data: Any) -> list[tuple[Path, ...]]:
    return [
        (path,)
        for path in files
        if suffix(path) in (".tsv", ".tab") or (suffix(path) == ".csv" and header(_head(path), data))
    ]


def read(units: Sequence[tuple[Path, ...]], root: Path, data: Any) -> Raw:
    """Raises: SourceError where nothing tells which columns are meant."""
    raw = Raw()
    for (path,) in units:
        name = name_of(path, root)
        rows = list(_rows(path, name, raw))
        if not rows:
            continue
        columns = header(rows[0][1], data)
        if columns:
            rows = rows[1:]
        else:
            columns = _columns(rows, name, raw, data)
        split = split_of(parts(path)[0])
        for number, cells in rows:
            if len(cells) <= max(columns):
                raw.reject(name, number, "line", f"has {max(columns) + 1} columns", str(len(cells)))
            else:
                raw.add(split, cells[columns[0]], cells[columns[1]], name, number)
    return raw


def header(cells: Sequence[str], data: Any) -> tuple[int, int] | None:
    """Positions of source and target if `cells` is a header, else None."""
    names = [cell.strip().strip("\ufeff") for cell in cells]
    source = named_side(names, data.source_language, SOURCE_NAMES)
    target = named_side(names, data.target_language, TARGET_NAMES)
    return (names.index(source), names.index(target)) if source and target else None


def _rows(path: Path, name: str, raw: Raw) -> Iterator[Row]:
    """Numbers and cells; lines that are not UTF-8 are rejected."""
    read_lines = []
    for number, text, place in lines(path, name, raw):
        if text is None:
            raw.reject(name, number, "line", NOT_UTF8, place)
        else:
            read_lines.append((number, text))
    separator = _separator(path, read_lines[0][1] if read_lines else "")
    cells = [cell for _, text in read_lines for cell in text.split(separator)]
    if suffix(path) == ".csv" or quoted(cells):
        if suffix(path) != ".csv":
            raw.notes.append(f"{name}: fields are in quotation marks as `csv` writes them, and read so")
        yield from _as_csv(read_lines, separator, name, raw)
        return
    marked = [cell for cell in cells if len(cell) > 1 and cell[0] == cell[-1] == '"']
    if marked:
        raw.notes.append(
            f"{name}: {len(marked)} fields begin and end with a quotation mark, which is kept, e.g. {marked[0][:60]}"
        )
    yield from ((number, text.split(separator)) for number, text in read_lines)


def quoted(cells: Sequence[str]) -> bool:
    """Whether fields are quoted as RFC 4180 has it: each that begins with a mark ends with one and doubles those inside
    (or goes on in the next line), and one at least has a doubled mark, or all have marks."""
    opened = [cell for cell in cells if cell.startswith('"')]
    whole = [cell for cell in opened if len(cell) > 1 and cell.endswith('"')]
    good = [cell for cell in whole if '"' not in cell[1:-1].replace('""', "")]
    if not whole or len(good) < len(whole):
        return False
    doubled = any('""' in cell[1:-1] for cell in good)
    goes_on = [cell for cell in cells if cell.endswith('"') and not cell.startswith('"')]
    return (doubled and len(opened) - len(whole) <= len(goes_on)) or len(whole) == len([cell for cell in cells if cell])


def _separator(path: Path, first: str) -> str:
    if suffix(path) != ".csv":
        return "\t"
    return max(",;\t", key=first.count)


def _head(path: Path) -> list[str]:
    """The first row of a CSV."""
    first = content(path)[:10_000].decode("utf-8-sig", "replace").split("\n", 1)[0].strip("\r")
    try:
        return next(csv.reader([first], delimiter=_separator(path, first)), [])
    except csv.Error:
        return []


def _as_csv(rows: list[tuple[int, str]], separator: str, name: str, raw: Raw) -> Iterator[Row]:
    reader = csv.reader((text + "\n" for _, text in rows), delimiter=separator)  # a lone CR ends no line, as elsewhere
    while True:
        start = reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raw.reject(name, rows[min(start, len(rows) - 1)][0], "line", "is a row of CSV", str(error))
            continue
        if cells:
            yield rows[start][0], cells


def _columns(rows: list[Row], name: str, raw: Raw, data: Any) -> tuple[int, int]:
    """Positions of source and target where no header tells. Raises: SourceError where they cannot be told."""
    looked = [cells for _, cells in rows[:LOOKED_AT]]
    width = max(map(len, looked))
    columns = [[cells[i] for cells in looked if len(cells) > i] for i in range(width)]
    texts = [i for i, column in enumerate(columns) if not _numbers(column) and not (width > 2 and _origin(column))]
    shown = " | ".join(cell[:30] for cell in looked[0][:8])
    if len(texts) != 2:
        raise SourceError(
            f"{name} has no header that names {data.source_language} and {data.target_language}, and {width} columns, "
            f"{len(texts)} of them text; the first row is: {shown}. Put a header above it, e.g. "
            f"`{data.source_language}<tab>{data.target_language}`, with a name for each other column"
        )
    if any(_is_head(looked, i) for i in range(width) if i not in texts):
        raise SourceError(
            f"{name}: its header ({shown}) does not name {data.source_language} and {data.target_language}; name them"
        )
    numbers = f"; columns {', '.join(str(i + 1) for i in range(width) if i not in texts)} hold none" * (width > 2)
    raw.notes.append(
        f"{name} has no header: column {texts[0] + 1} is the source, column {texts[1] + 1} the target{numbers}"
    )
    return texts[0], texts[1]


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return not cell.strip()
    return True


def _numbers(cells: list[str]) -> bool:
    """Whether a column holds numbers and no sentences; its first row may be a name."""
    return len(cells) > 1 and all(map(_number, cells[1:]))


def _origin(cells: list[str]) -> bool:
    """Whether a column says whence a pair is: licences (manythings.org), addresses, or the same in every row."""
    return all(re.match(r"(CC[- ](BY|0)|https?://)", cell.strip()) for cell in cells) or len({*cells}) == 1 < len(cells)


def _is_head(rows: list[list[str]], column: int) -> bool:
    """Whether a column of numbers has a name in its first row."""
    cells = [cells[column] for cells in rows if len(cells) > column]
    return _numbers(cells) and not _number(cells[0])
