"""Raw recordings and what is said in them, as the source states them, bad ones included.

    folders    a folder for each word: `yes/1.wav`, with train/, val/, test/ around them or without
    manifest   a table: CSV or TSV with a header, or JSONL, with the columns `COLUMNS`; one, or train.csv, ...
    kaldi      wav.scp (id, path) and text (id, transcript), perhaps utt2spk; one of each, or in train/, val/, test/
    names      the file's name tells: `data.pattern`, a regular expression with a group `text`, perhaps `speaker`

In all of them a group `speaker` of the pattern tells the speaker, where nothing else does. Rows are lines of the file
that names a recording, 1 where none does.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import walk
from core.errors import SourceError
from core.visible import visible
from modalities.audio.inputs.decode import SUFFIXES
from modalities.splits import split_of

COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "audio", "audio_filepath", "wav"),
    "text": ("text", "transcript", "transcription", "sentence", "label", "word", "class"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "language": ("language", "lang", "locale"),
    "split": ("split", "subset"),
}
"""What a manifest says -> names that columns or keys may have, whatever their case."""
TABLES = {".csv": ",", ".tsv": "\t", ".jsonl": ""}
FOUND = 200
"""Characters that are shown of what was found."""


@dataclass(slots=True)
class Recording:
    path: Path | None
    """None: the source names it, and has no such file that may be read."""
    name: str
    text: str
    file: str
    row: int
    speaker: str = ""
    language: str = ""
    split: str | None = None


@dataclass
class Raw:
    recordings: list[Recording] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def reject(self, file: str, row: int, column: str, reason: str, found: str = "") -> None:
        texts = {"file": file, "field": column, "reason": reason, "found": found[:FOUND]}
        self.rejected.append({"row": row} | {key: visible(text) for key, text in texts.items()})


def read(root: Path, form: str, pattern: str | None, trusted: bool) -> tuple[str, Raw]:
    """The format's name, and every recording of the folder `root`. form: one of `FORMATS`, or `auto`.

    trusted: whether links may lead out of the folder. Raises: SourceError where there is nothing to read.
    """
    here, words = walk.listing(root), re.compile(pattern) if pattern else None
    if form == "auto":
        form = _detect(here, words)
    raw = Raw()
    FORMATS[form](raw, here, words, trusted)
    for one in raw.recordings:
        if words and not one.speaker and (told := words.search(Path(one.name).name)):
            one.speaker = told.groupdict().get("speaker") or ""
    if not raw.recordings:
        names = [here.name(path) for path in here.files]
        raise SourceError(
            f"{root}: no recording in the format {form}; {len(raw.rejected)} rows were unusable, found "
            f"{', '.join(map(visible, names[:5])) or 'nothing'}{walk.packed(names)}. Expected {NEEDS}"
        )
    read_paths = {one.path for one in raw.recordings}
    left = [here.name(path) for path in here.files if path.suffix.lower() in SUFFIXES and path not in read_paths]
    for what, names in (("recordings that nothing names", left), ("hidden files", list(map(here.name, here.hidden)))):
        if names:
            raw.notes.append(f"{len(names)} {what} left out, e.g. {visible(names[0])}")
    return form, raw


NEEDS = (
    "a folder of recordings for each word, a manifest (.csv, .tsv or .jsonl with a path and a transcript), Kaldi's "
    "wav.scp and text, or data.pattern for the files' names"
)


def _detect(here: walk.Listing, words: re.Pattern[str] | None) -> str:
    if any(path.name == "wav.scp" for path in here.files):
        return "kaldi"
    if words and "text" in words.groupindex:
        return "names"
    return "manifest" if any(_columns(path) for path in _tables(here)) else "folders"


def _folders(raw: Raw, here: walk.Listing, words: re.Pattern[str] | None, trusted: bool) -> None:
    for path in _sounds(here):
        parts = path.relative_to(here.root).parts[:-1]
        split = split_of(parts[0]) if len(parts) > 1 else None
        if parts and split != "trainval" and walk.inside(path, here.root, trusted):
            name = here.name(path)
            raw.recordings.append(Recording(path, name, parts[-1], name, 1, split=split))


def _names(raw: Raw, here: walk.Listing, words: re.Pattern[str] | None, trusted: bool) -> None:
    if words is None or "text" not in words.groupindex:
        raise SourceError("data.format is `names`: expected data.pattern with a group (?P<text>...)")
    for path in _sounds(here):
        name, told = here.name(path), words.search(path.name)
        if told is None:
            raw.reject(name, 1, "name", "the name fits data.pattern", path.name)
        elif walk.inside(path, here.root, trusted):
            parts = path.relative_to(here.root).parts[:-1]
            split = next(filter(None, map(split_of, parts)), None)
            raw.recordings.append(Recording(path, name, told["text"] or "", name, 1, split=split))


def _manifest(raw: Raw, here: walk.Listing, words: re.Pattern[str] | None, trusted: bool) -> None:
    found = [(path, columns) for path in _tables(here) if (columns := _columns(path))]
    split = [pair for pair in found if split_of(pair[0].stem)]
    for path, columns in split or found[:1]:
        name = here.name(path)
        for row, values in _rows(path, name, raw):
            stated = {key: values.get(column) for key, column in columns.items()}
            told = {key: "" if value is None else str(value).strip() for key, value in stated.items()}
            if not told["path"]:
                raw.reject(name, row, columns["path"], "the path of a recording is stated")
                continue
            place = _lying(told["path"], (path.parent, here.root), here.root, trusted)
            where = split_of(path.stem) or split_of(told.get("split", ""))
            more = (told.get("speaker", ""), told.get("language", ""), where)
            raw.recordings.append(Recording(place, told["path"], told["text"], name, row, *more))


def _kaldi(raw: Raw, here: walk.Listing, words: re.Pattern[str] | None, trusted: bool) -> None:
    for path in here.files:
        if path.name != "wav.scp":
            continue
        texts, speakers = (dict(_lines(path.parent / name)) for name in ("text", "utt2spk"))
        for row, (key, stated) in enumerate(_lines(path), 1):
            if stated.endswith("|"):
                raw.reject(here.name(path), row, "path", "the path of a file: commands are not run", stated)
                continue
            place = _lying(stated, (path.parent, here.root), here.root, trusted)
            split, speaker = split_of(path.parent.name) if path.parent != here.root else None, speakers.get(key, "")
            raw.recordings.append(
                Recording(place, stated, texts.get(key, ""), here.name(path), row, speaker, split=split)
            )


FORMATS: dict[str, Callable[[Raw, walk.Listing, re.Pattern[str] | None, bool], None]] = {
    "folders": _folders,
    "manifest": _manifest,
    "kaldi": _kaldi,
    "names": _names,
}


def _sounds(here: walk.Listing) -> list[Path]:
    return [path for path in here.files if path.suffix.lower() in SUFFIXES]


def _tables(here: walk.Listing) -> list[Path]:
    return [path for path in here.files if path.suffix.lower() in TABLES]


def _lying(stated: str, places: tuple[Path, ...], root: Path, trusted: bool) -> Path | None:
    plain = stated.replace("\\", "/").lstrip("/")
    return next((place / plain for place in places if walk.inside(place / plain, root, trusted)), None)


def _lines(path: Path) -> list[tuple[str, str]]:
    """First word and the rest of each line that has any."""
    lines = walk.text(path).splitlines() if path.is_file() else []
    return [(parts[0], parts[1].strip() if len(parts) > 1 else "") for line in lines if (parts := line.split(None, 1))]


def _columns(path: Path) -> dict[str, str]:
    """What a table says -> its column; empty where it has no path or no transcript."""
    first = walk.text(path).lstrip().partition("\n")[0]
    try:
        between = TABLES[path.suffix.lower()]
        names = next(csv.reader([first], delimiter=between), []) if between else list(json.loads(first))
    except (ValueError, RecursionError, TypeError, csv.Error):
        return {}
    known = {str(name).strip().lower(): str(name).strip() for name in names}
    found = {key: known[name] for key, several in COLUMNS.items() for name in reversed(several) if name in known}
    return found if {"path", "text"} <= set(found) else {}


def _rows(path: Path, name: str, raw: Raw) -> Iterator[tuple[int, dict[str, Any]]]:
    text, between = walk.text(path), TABLES[path.suffix.lower()]
    if between:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=between)
        reader.fieldnames = [column.strip() for column in reader.fieldnames or []]
        try:
            for values in reader:
                yield reader.line_num, {key: value for key, value in values.items() if isinstance(value, str)}
        except csv.Error as error:
            raw.reject(name, reader.line_num + 1, "row", f"no row of CSV: {error}; what follows it is not read")
        return
    for row, line in enumerate(text.splitlines(), 1):
        try:
            found = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            raw.reject(name, row, "row", f"no valid JSON: {str(error)[:80]}")
            continue
        if isinstance(found, dict):
            yield row, found
        elif found is not None:
            raw.reject(name, row, "row", "expected a JSON object", str(found))
