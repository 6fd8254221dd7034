"""Parallel text: `NAME.en` and `NAME.ja`, one sentence a line; `NAME.en.txt`, `NAME-en.txt`, `NAME.src` and `NAME.trg`
(Tatoeba challenge), each packed (`.gz`) or not; or a folder for each language, `en/NAME.txt` and `ja/NAME.txt`.

Line n of one file translates line n of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import SourceError
from modalities.splits import split_of
from modalities.text.prepare.files import parts, plain, stem
from modalities.text.prepare.raw import NOT_UTF8, SOURCE_NAMES, TARGET_NAMES, Raw, language, lines, name_of, named_side

NEEDS = (
    "text: files NAME.{source} and NAME.{target} with the same number of lines, e.g. train.{source}, train.{target}, "
    "or {source}/NAME.txt and {target}/NAME.txt"
)


def find(files: Sequence[Path], data: Any) -> list[tuple[Path, ...]]:
    """Pairs (source file, target file) among the files of one folder."""
    stems: dict[str, dict[str, Path]] = {}
    for path in files:
        name, tag = parts(path)
        if tag:
            stems.setdefault(name, {})[tag] = path
    found: list[tuple[Path, ...]] = []
    for name, tags in sorted(stems.items()):
        source = named_side(tags, data.source_language, SOURCE_NAMES if name else ())
        target = named_side(tags, data.target_language, TARGET_NAMES if name else ())
        if source and target:
            found.append((tags[source], tags[target]))
    return found


def folders(files: Mapping[str, Sequence[Path]], data: Any) -> list[tuple[Path, ...]]:
    """Pairs of files of one name in two folders that are named as the languages. files: of each folder, by its name."""
    source = named_side(files, data.source_language, SOURCE_NAMES)
    target = named_side(files, data.target_language, TARGET_NAMES)
    if not source or not target:
        return []
    sides = ((source, data.source_language), (target, data.target_language))
    here, there = ({_alone(path, wanted): path for path in files[folder]} for folder, wanted in sides)
    return [(here[name], there[name]) for name in sorted(here.keys() & there.keys())]


def _alone(path: Path, wanted: str) -> str:
    """What files of both languages are called alike: `train` of `en/train.en` and of `en/train.txt`."""
    name, tag = parts(path)
    return name if name and language([tag], wanted) else plain(path)


def read(units: Sequence[tuple[Path, ...]], root: Path, data: Any) -> Raw:
    """Raises: SourceError when two files of a pair differ in length."""
    raw = Raw()
    for source, target in units:
        names = [name_of(path, root) for path in (source, target)]
        tags = (data.source_language, data.target_language)
        sides = [
            list(lines(path, name, raw, tag)) for path, name, tag in zip((source, target), names, tags, strict=True)
        ]
        if len(sides[0]) != len(sides[1]):
            raise SourceError(
                f"{names[0]} has {len(sides[0])} lines and {names[1]} has {len(sides[1])}: line n of one must "
                "translate line n of the other; restore the missing lines"
            )
        split = split_of(stem(source))
        for (number, left, bad_left), (_, right, bad_right) in zip(*sides, strict=True):
            if left is None or right is None:
                column, name, place = (
                    ("source", names[0], bad_left) if left is None else ("target", names[1], bad_right)
                )
                raw.reject(name, number, column, NOT_UTF8, place)
            else:
                raw.add(split, left, right, names[0], number)
    return raw
