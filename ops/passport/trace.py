"""The way back from a model to data, code, params, runs and figures, for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ops import passport
from ops.passport import graph

WIDTH = 12
"""Columns of the links' names."""


def text(path: Path) -> str:
    """What the passport of a package, or of one of its ONNX files, says. Raises: ModelError when there is none."""
    links = passport.read(path)["links"] if path.is_dir() else graph.read(path).links
    values = {link["name"]: link["value"] for link in links}
    lines = [f"{path}", ""]
    for name, value in values.items():
        shown = list(_lines(value))
        lines += [f"{name if i == 0 else '':{WIDTH}} {line}".rstrip() for i, line in enumerate(shown or ["-"])]
    # A stranger's file must not send control sequences to a terminal.
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in [*lines, "", *_way(values)])


def _way(values: dict[str, Any]) -> list[str]:
    """Commands that lead back, of the links that a package has."""
    data, code = values.get("data"), values.get("code")
    way = []
    if isinstance(code, str):
        commit, _, dirty = code.partition("-")
        way.append(f"code    git checkout {commit}" + (" (and changes that were not committed)" if dirty else ""))
    if isinstance(data, dict) and "prepared" in data:
        way.append(f"data    dvc checkout, where the cache or a remote has {data['prepared']}; else from its source")
    if isinstance(values.get("runs"), dict):
        way.append("runs    in MLflow, search for tags.`stillhouse.key` = '...'")
    return ["The way back:", *(f"  {line}" for line in way)] if way else []


def _lines(value: Any) -> Iterator[str]:
    """One line for a plain value, one for each entry of a mapping; of mappings of mappings one for each inner one."""
    if not isinstance(value, dict):
        yield _plain(value)
        return
    width = max((len(str(key)) for key, entry in value.items() if not _outer(entry)), default=0)
    for key, entry in value.items():
        if _outer(entry):
            yield from (f"{key}.{line}" for line in _lines(entry))
        else:
            yield f"{key:{width}}  {_plain(entry)}"


def _outer(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(inner, dict) for inner in value.values())


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_nested(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return " to ".join(map(_plain, value)) if _interval(value) else f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value is None else str(value)


def _nested(value: Any) -> str:
    return f"{{{_plain(value)}}}" if isinstance(value, dict) else _plain(value)


def _interval(value: list[Any]) -> bool:
    return len(value) == 2 and all(isinstance(entry, float) for entry in value)
