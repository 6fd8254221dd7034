"""Files written so that a kill leaves the old or the new, never half of either."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

TOGETHER = 10_000
"""Tokens of JSON that are written at once."""
HALF = re.compile(r"[\ud800-\udfff]")
"""Half of a character (UTF-16's surrogates alone): in JSON and in names of files there may be some, UTF-8 has none."""


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` aside, flush it to disk and rename it over `path`."""
    _write(path, [text])


def _write(path: Path, pieces: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    aside.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with stable key order and no NaN (which is not JSON)."""
    _write(path, _pieces(value))


def _pieces(value: Any) -> Iterator[str]:
    """The text of `write_json`, a part at a time: of a large data set all of it takes as much memory again."""
    tokens = json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True).iterencode(value)
    while piece := "".join(islice(tokens, TOGETHER)):
        yield HALF.sub(_escaped, piece)
    yield "\n"


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """One JSON object a line."""
    _write(path, (_json(row) + "\n" for row in rows))


def _json(value: Any) -> str:
    """JSON that can be written as UTF-8 and reads back as `value`."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return HALF.sub(_escaped, text)


def _escaped(half: re.Match[str]) -> str:
    return f"\\u{ord(half[0]):04x}"


def read_jsonl(path: Path) -> list[Any]:
    # Not splitlines: it would also split at U+2028 and the like inside of strings.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


OLD = ".old.partial"


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; on success it takes its place, on failure it is removed.

    The old folder stays readable until the new one is complete: a kill or a full disk leaves it as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clean_up(folder)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    aside.mkdir()
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    old = folder.with_name(f".{folder.name}.{os.getpid()}{OLD}")
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _clean_up(folder: Path) -> None:
    """Mend what a killed run left (the caller holds the stage's lock): a kill between the two renames is undone."""
    for leftover in sorted(folder.parent.glob(f".{folder.name}.*.partial"), key=lambda path: path.name.endswith(OLD)):
        if leftover.name.endswith(OLD) and not folder.exists():
            leftover.rename(folder)
        else:
            shutil.rmtree(leftover, ignore_errors=True)
