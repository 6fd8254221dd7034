"""Rows of tables, whatever they are about, out of files: CSV (`,`, `;` or tab, with a header), JSON lines, Parquet.

What is no row is told by file, row and field, and is left out; a file that is none of its kind is a SourceError.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.errors import SourceError
from core.visible import visible
from core.walk import is_hidden, listing, packed

Cells = dict[str, Any]
Reject = Callable[[str, int, str, str, Any], Any]
"""(file, row, field, reason, what was found)"""
SHOWN = 12
ENDINGS = {
    **dict.fromkeys((".csv", ".tsv", ".tab"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".parquet": "parquet",
}


def files(source: Path, form: str) -> tuple[dict[Path, str], list[str]]:
    """The files of rows at `source`, a folder or a file, by path and name; and notes of what is left.

    form: `auto`, or one of `READERS`; a single file may have any ending where it is named. Raises: SourceError.
    """
    if not source.exists():
        raise SourceError(f"{source} does not exist")
    alone = source.is_file()
    there = [source] if alone else listing(source).files
    names = {path: visible(path.name if alone else path.relative_to(source).as_posix()) for path in there}
    forms = READERS if form == "auto" else (form,)
    used = {path: name for path, name in names.items() if (alone and form != "auto") or form_of(path) in forms}
    if not used:
        shown = ", ".join(sorted(names.values())[:SHOWN]) or "nothing"
        wanted = " or ".join(f"*{ending}" for ending, known in ENDINGS.items() if known in forms)
        raise SourceError(f"{source}: found {shown}{packed(list(names.values()))}; expected files {wanted}")
    left = [name for path, name in names.items() if path not in used and not is_hidden(path.name)]
    return used, [f"{len(left)} other files not read, e.g. {', '.join(left[:3])}"] if left else []


def read(path: Path, name: str, form: str, reject: Reject) -> Iterator[tuple[int, Cells]]:
    """Number and cells of each row: of a CSV or JSON lines the line, of a Parquet the row, from 1.

    name: what rows and messages call the file. Raises: SourceError.
    """
    return READERS[form_of(path) if form == "auto" else form](path, name, reject)


def form_of(path: Path) -> str:
    """One of `READERS` by the file's ending; "": none."""
    return ENDINGS.get(path.suffix.lower(), "")


def _text(path: Path, name: str) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{name}, line {line}: not UTF-8 at byte {error.start}; convert it with iconv") from None


def _csv(path: Path, name: str, reject: Reject) -> Iterator[tuple[int, Cells]]:
    text = _text(path, name)
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        head = [cell.strip() for cell in next(reader, [])]
        if not head or len(set(head)) < len(head) or "" in head:
            shown = visible(str(head[:SHOWN]))
            raise SourceError(f"{name}, line 1: found {shown}, expected a header with a name for each column")
        for cells in reader:
            if len(cells) == len(head):
                yield reader.line_num, dict(zip(head, cells, strict=True))
            elif cells:
                reject(name, reader.line_num, "line", f"has {len(head)} cells", len(cells))
    except csv.Error as error:
        raise SourceError(f"{name}, line {reader.line_num}: no CSV: {error}; mend the line") from None


def _jsonl(path: Path, name: str, reject: Reject) -> Iterator[tuple[int, Cells]]:
    for number, line in enumerate(_text(path, name).split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = line[:40]
        if isinstance(value, dict):
            yield number, value
        else:
            reject(name, number, "line", "is a JSON object", value)


def _parquet(path: Path, name: str, reject: Reject) -> Iterator[tuple[int, Cells]]:
    import pandas as pd

    try:
        found = pd.read_parquet(path)
    except Exception as error:  # pyarrow's own share no base class
        raise SourceError(f"{name}: no Parquet: {visible(str(error)[:200])}; write it anew") from None
    found.columns = found.columns.map(str)
    yield from enumerate(found.to_dict("records"), 1)


READERS: dict[str, Callable[[Path, str, Reject], Iterator[tuple[int, Cells]]]]
READERS = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
