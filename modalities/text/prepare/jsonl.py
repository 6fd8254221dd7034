"""JSON lines, or one array: objects `{"en": ..., "ja": ...}` or `{"source": ..., "target": ...}`, or either as
`translation` of another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from modalities.splits import split_of
from modalities.text.prepare.files import content, parts, suffix
from modalities.text.prepare.raw import NOT_UTF8, SOURCE_NAMES, TARGET_NAMES, Raw, lines, name_of, named_side

NEEDS = (
    'jsonl: files *.jsonl or *.json of objects {{"{source}": ..., "{target}": ...}} or {{"source": ..., "target": ...}}'
)


def find(files: Sequence[Path], data: Any) -> list[tuple[Path, ...]]:
    """Files `*.jsonl`, and `*.json` of which the first object is such a pair."""
    return [
        (path,)
        for path in files
        if suffix(path) in (".jsonl", ".ndjson") or (suffix(path) == ".json" and _holds_pairs(path, data))
    ]


def read(units: Sequence[tuple[Path, ...]], root: Path, data: Any) -> Raw:
    """Rows are lines, or positions in an array."""
    raw = Raw()
    for (path,) in units:
        name = name_of(path, root)
        split = split_of(parts(path)[0])
        if (values := array(path)) is not None:
            for number, value in enumerate(values, 1):
                _add(raw, split, sides(value, data), name, number)
            continue
        for number, text, place in lines(path, name, raw):
            if text is None:
                raw.reject(name, number, "line", NOT_UTF8, place)
            elif text.strip():
                _add(raw, split, parse(text, data), name, number)
    return raw


def array(path: Path) -> list[Any] | None:
    """The entries of a file that is one JSON array, or one object that holds a single array; None: it is lines."""
    text = content(path)
    if text.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"[", b"{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    arrays = [entry for entry in value.values() if isinstance(entry, list)] if isinstance(value, dict) else [value]
    return arrays[0] if len(arrays) == 1 else None


def _holds_pairs(path: Path, data: Any) -> bool:
    values = array(path)
    if values is None:
        first = content(path).lstrip().split(b"\n", 1)[0]
        return not isinstance(parse(first.decode("utf-8", "replace"), data), Fault)
    return bool(values) and not isinstance(sides(values[0], data), Fault)


def _add(raw: Raw, split: str | None, pair: tuple[str, str] | Fault, name: str, number: int) -> None:
    if isinstance(pair, Fault):
        raw.reject(name, number, "line", pair.reason, pair.found)
    else:
        raw.add(split, *pair, name, number)


class Fault(NamedTuple):
    """Why a row is no pair: what it should be, and what it is."""

    reason: str
    found: str


def parse(text: str, data: Any) -> tuple[str, str] | Fault:
    """Source and target of one line, or the reason why there are none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"broken at character {error.pos}" if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        return Fault("is a JSON object", where)
    return sides(value, data)


def sides(value: Any, data: Any) -> tuple[str, str] | Fault:
    """Source and target of one object, or the reason why there are none."""
    if isinstance(value, dict) and isinstance(value.get("translation"), dict):
        value = value["translation"]
    if not isinstance(value, dict):
        return Fault("is a JSON object", type(value).__name__)
    source = named_side(value, data.source_language, SOURCE_NAMES)
    target = named_side(value, data.target_language, TARGET_NAMES)
    if source is None or target is None:
        keys = ", ".join(sorted(value)[:8])
        return Fault(f"has keys for {data.source_language} and {data.target_language}", keys or "none")
    texts = (value[source], value[target])
    for key, side in zip((source, target), texts, strict=True):
        if not isinstance(side, str):
            return Fault(f"{key} is text", type(side).__name__)
        if any("\ud800" <= character <= "\udfff" for character in side):
            return Fault(f"{key} is valid Unicode", "a surrogate without its partner")
    return texts
