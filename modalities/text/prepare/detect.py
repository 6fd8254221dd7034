"""Which format a source is in, and which of its files hold it; a root one or two folders deep is found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import SourceError
from core.walk import Listing, is_hidden, listing, packed
from modalities.splits import split_of
from modalities.text.prepare import jsonl, parallel, tmx, tsv
from modalities.text.prepare.files import stem
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
        holding = {}
        for folder in _folders(source, depth):
            if found := _formats(_files(folder, source, data), data) or _languages(folder, source, data):
                holding[folder] = found
        if holding:
            return _read_folders(source, holding, data)
    raise SourceError(_unknown(source, data))


def _read_folders(source: Path, holding: dict[Path, dict[str, list[tuple[Path, ...]]]], data: Any) -> tuple[str, Raw]:
    """The first folder that holds pairs; with it those beside it, where their names say splits (train/, dev/)."""
    first = next(iter(holding))
    name = _one(holding[first], first)
    beside = {folder: found for folder, found in holding.items() if split_of(folder.name) and name in found}
    folders = list(beside) if first in beside and len(beside) > 1 else [first]
    raw, used = Raw(), []
    for folder in folders:
        units, notes = _chosen(holding[folder][name])
        part = READERS[name].read(units, source, data)
        split = split_of(folder.name) if len(folders) > 1 else None
        split = "train" if split == "trainval" else split
        raw.pairs += [pair if pair.split else pair._replace(split=split) for pair in part.pairs]
        raw.rejected += part.rejected
        raw.changes += part.changes
        raw.notes += [*part.notes, *notes]
        used += holding[folder][name]
    files = [path for folder in folders for path in _files(folder, source, data)]
    raw.notes += _left(files, used, listing(source))
    _train_of_the_rest(raw)
    return name, raw


def _read_file(source: Path, data: Any) -> tuple[str, Raw]:
    """A single file; of parallel text either side may be named. A format that is named holds whatever its ending."""
    folder = source.parent
    if data.format not in ("auto", "text"):
        return data.format, READERS[data.format].read([(source,)], folder, data)
    beside = sorted(path for path in folder.iterdir() if path.is_file() and not is_hidden(path.name))
    for name, units in _formats(beside, data).items():
        if chosen := [unit for unit in units if source in unit]:
            return name, READERS[name].read(chosen, folder, data)
    raise SourceError(f"{_unknown(source, data)}\nWhatever its ending, name its format in data.format")


def _train_of_the_rest(raw: Raw) -> None:
    """A corpus beside dev and test is train."""
    named = {pair.split for pair in raw.pairs} - {None}
    if named and "train" not in named and any(pair.split is None for pair in raw.pairs):
        raw.pairs = [pair if pair.split else pair._replace(split="train") for pair in raw.pairs]
        raw.notes.append(f"what names no split is train, beside {', '.join(sorted(map(str, named)))}")


def _left(files: list[Path], units: list[tuple[Path, ...]], here: Listing) -> list[str]:
    """Notes of files that were not read."""
    used = {path for unit in units for path in unit}
    kinds = {
        "other files": [path for path in files if path not in used],
        "files in other folders": [path for path in here.files if path not in files and path not in used],
        "hidden or temporary files": here.hidden,
    }
    return [
        f"{len(paths)} {kind} not read, e.g. {', '.join(here.name(path) for path in paths[:3])}"
        for kind, paths in kinds.items()
        if paths
    ]


def _formats(files: Sequence[Path], data: Any) -> dict[str, list[tuple[Path, ...]]]:
    names = list(READERS) if data.format == "auto" else [data.format]
    return {name: units for name in names if (units := READERS[name].find(files, data))}


def _languages(folder: Path, source: Path, data: Any) -> dict[str, list[tuple[Path, ...]]]:
    """Likewise of a folder that has one for each language."""
    if data.format not in ("auto", "text"):
        return {}
    files = {child.name: _files(child, source, data) for child in _folders(folder, 1)}
    units = parallel.folders(files, data)
    return {"text": units} if units else {}


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
    train = bool({"train", "trainval"} & set(named))
    kept, left = ([], list(rest)) if train else (list(rest), [])  # a corpus beside dev and test is train
    for group in named.values():
        plain = [unit for unit in group if _stem(unit).isalpha()]
        kept += plain or group
        left += [unit for unit in group if plain and unit not in plain]
    notes = [f"left out, since others name the splits: {', '.join(unit[0].name for unit in left)}"] if left else []
    return kept, notes


def _stem(unit: tuple[Path, ...]) -> str:
    return stem(unit[0])


def _folders(root: Path, depth: int) -> list[Path]:
    folders = [root]
    for _ in range(depth):
        folders = [
            child
            for folder in folders
            for child in sorted(folder.iterdir())
            if child.is_dir() and not is_hidden(child.name)
        ]
    return folders


def _files(folder: Path, root: Path, data: Any) -> list[Path]:
    """Files of a folder; links that lead out of the source are followed only in the user's own folder."""
    own = data.kind == "path"
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and not is_hidden(path.name) and (own or path.resolve().is_relative_to(root.resolve()))
    )


def _unknown(source: Path, data: Any) -> str:
    where = [source] if source.is_file() else [f for depth in range(DEPTH + 1) for f in _folders(source, depth)]
    names = [str(path.relative_to(source)) for folder in where if folder.is_dir() for path in sorted(folder.iterdir())]
    names = names or [source.name] * source.is_file()
    languages = {"source": data.source_language, "target": data.target_language}
    needs = [reader.NEEDS.format(**languages) for name, reader in READERS.items() if data.format in ("auto", name)]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    found = f"found {', '.join(names[:SHOWN])}{more}{packed(names)}" if names else "found nothing to read"
    listed = "\n".join(f"  - {need}" for need in needs)
    return f"{source}: no sentence pairs for format {data.format!r}; {found}. Expected one of:\n{listed}"
