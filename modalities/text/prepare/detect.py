"""Which format a source is in, and which of its files hold it; a root one or two folders deep is found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import SourceError
from modalities.splits import split_of
from modalities.text.prepare import jsonl, parallel, tmx, tsv
from modalities.text.prepare.raw import Raw

READERS = {"text": parallel, "tsv": tsv, "jsonl": jsonl, "tmx": tmx}
DEPTH = 2
"""Folders below the source that are searched: an unpacked archive often holds one."""
SHOWN = 12


def read(source: Path, data: Any) -> tuple[str, Raw]:
    """The name of the format, and everything read. Raises: SourceError."""
    if not source.exists():
        raise SourceError(f"translation.data.source: {source} does not exist")
    if source.is_file():
        return _read_file(source, data)
    for depth in range(DEPTH + 1):
        for folder in _folders(source, depth):
            files = _files(folder, source, data)
            if found := _formats(files, data):
                name = _one(found, folder)
                units, note = _chosen(found[name])
                raw = READERS[name].read(units, source, data)
                raw.notes += note
                return name, raw
    raise SourceError(_unknown(source, data))


def _read_file(source: Path, data: Any) -> tuple[str, Raw]:
    """A single file; of parallel text either side may be named."""
    folder = source.parent
    beside = sorted(path for path in folder.iterdir() if path.is_file())
    for name, units in _formats(beside, data).items():
        if chosen := [unit for unit in units if source in unit]:
            return name, READERS[name].read(chosen, folder, data)
    raise SourceError(_unknown(source, data))


def _formats(files: Sequence[Path], data: Any) -> dict[str, list[tuple[Path, ...]]]:
    names = list(READERS) if data.format == "auto" else [data.format]
    return {name: units for name in names if (units := READERS[name].find(files, data))}


def _one(found: dict[str, list[tuple[Path, ...]]], folder: Path) -> str:
    if len(found) > 1:
        examples = ", ".join(f"{name} ({units[0][0].name})" for name, units in found.items())
        raise SourceError(
            f"{folder} holds several formats: {examples}; name one in translation.data.format, or remove the others"
        )
    return next(iter(found))


def _chosen(units: list[tuple[Path, ...]]) -> tuple[list[tuple[Path, ...]], list[str]]:
    """Files that say their split win over files that do not, and `train.en` over `train.sample.en`."""
    named: dict[str | None, list[tuple[Path, ...]]] = {}
    for unit in units:
        named.setdefault(split_of(_stem(unit)), []).append(unit)
    rest = named.pop(None, [])
    if not named:
        return rest, []
    kept, left = [], list(rest)
    for group in named.values():
        plain = [unit for unit in group if _stem(unit).isalpha()]
        kept += plain or group
        left += [unit for unit in group if plain and unit not in plain]
    notes = [f"left out, since others name the splits: {', '.join(unit[0].name for unit in left)}"] if left else []
    return kept, notes


def _stem(unit: tuple[Path, ...]) -> str:
    return unit[0].name.removesuffix(".txt").rpartition(".")[0]


def _folders(root: Path, depth: int) -> list[Path]:
    folders = [root]
    for _ in range(depth):
        folders = [
            child
            for folder in folders
            for child in sorted(folder.iterdir())
            if child.is_dir() and not child.name.startswith(".") and not child.is_symlink()
        ]
    return folders


def _files(folder: Path, root: Path, data: Any) -> list[Path]:
    """Files of a folder; links that lead out of the source are followed only in the user's own folder."""
    own = data.kind == "path"
    return sorted(
        path for path in folder.iterdir() if path.is_file() and (own or path.resolve().is_relative_to(root.resolve()))
    )


def _unknown(source: Path, data: Any) -> str:
    where = [source] if source.is_file() else [f for depth in range(DEPTH + 1) for f in _folders(source, depth)]
    names = [str(path.relative_to(source)) for folder in where if folder.is_dir() for path in sorted(folder.iterdir())]
    languages = {"source": data.source_language, "target": data.target_language}
    needs = [reader.NEEDS.format(**languages) for name, reader in READERS.items() if data.format in ("auto", name)]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    found = f"found {', '.join(names[:SHOWN])}{more}" if names else "found nothing to read"
    listed = "\n".join(f"  - {need}" for need in needs)
    return f"{source}: no sentence pairs for format {data.format!r}; {found}. Expected one of:\n{listed}"
