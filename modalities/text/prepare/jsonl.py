"""JSONL: objects `{"en": ..., "ja": ...}`, `{"source": ..., "target": ...}`, either under `translation` too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modalities.splits import split_of
from modalities.text.prepare.raw import SOURCE_NAMES, TARGET_NAMES, Raw, lines, named_side

NEEDS = 'jsonl: files *.jsonl of objects {{"{source}": ..., "{target}": ...}} or {{"source": ..., "target": ...}}'


def find(files: Sequence[Path], data: Any) -> list[tuple[Path, ...]]:
    return [(path,) for path in files if path.suffix.lower() in (".jsonl", ".ndjson")]


def read(units: Sequence[tuple[Path, ...]], root: Path, data: Any) -> Raw:
    raw = Raw()
    for (path,) in units:
        name = str(path.relative_to(root))
        for number, text, bad in lines(path, name, raw):
            if text is not None and not text.strip():
                continue
            pair = bad if text is None else parse(text, data)
            if isinstance(pair, str):
                raw.reject(name, number, "line", pair)
            else:
                raw.add(split_of(path.stem), *pair, name, number)
    return raw


def parse(text: str, data: Any) -> tuple[str, str] | str:
    """Source and target of one line, or the reason why there are none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        return f"is a JSON object; it is broken{where}"
    if isinstance(value, dict) and isinstance(value.get("translation"), dict):
        value = value["translation"]
    if not isinstance(value, dict):
        return f"is a JSON object; found {type(value).__name__}"
    source = named_side(value, data.source_language, SOURCE_NAMES)
    target = named_side(value, data.target_language, TARGET_NAMES)
    if source is None or target is None:
        keys = ", ".join(sorted(value)[:8])
        return f"has keys for {data.source_language} and {data.target_language}; found {keys or 'none'}"
    texts = (value[source], value[target])
    for key, side in zip((source, target), texts, strict=True):
        if not isinstance(side, str):
            return f"{key} is text; found {type(side).__name__}"
        if any("\ud800" <= character <= "\udfff" for character in side):
            return f"{key} is valid Unicode; found a surrogate without its partner"
    return texts
