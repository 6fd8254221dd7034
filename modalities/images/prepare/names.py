"""Which file a name in an annotation means: never another one that happens to be called alike."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from core.walk import Listing, there
from modalities.images.inputs.formats import SUFFIXES, UNREAD
from modalities.splits import split_of

DRIVE = re.compile(r"^[A-Za-z]:")
SHOWN = 3
DEEPEST = 64
"""Folders around a file of a data set: of longer paths in lists so many are tried, each costs a look at the disk."""


def plain(stated: str) -> str:
    r"""A path as it is written on this system: `C:\data\a.jpg` -> `data/a.jpg`, `./a.jpg` -> `a.jpg`."""
    parts = DRIVE.sub("", stated.strip().replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def stem(name: str) -> str:
    """Without the ending of a picture, a label or a list's entry; other dots belong to the name."""
    head, dot, ending = name.rpartition(".")
    return head if dot and f".{ending.lower()}" in (*SUFFIXES, *UNREAD, ".xml", ".txt") else name


class Names:
    """Files of a source by the ends of their paths."""

    def __init__(self, files: Listing):
        self._files = files
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        self._alike: dict[str, list[Path]] = defaultdict(list)
        for path in files.files:
            if path.suffix.lower() in SUFFIXES:
                self._by_name[path.name].append(path)
                self._by_stem[path.stem].append(path)
            if path.suffix.lower() in (*SUFFIXES, *UNREAD):
                self._alike[_alike(path.name)].append(path)

    def named(self, stated: str) -> list[Path]:
        """Pictures whose path ends with all of `stated`."""
        name = plain(stated)
        return self._ending(self._by_name[name.rpartition("/")[2]], name)

    def stemmed(self, name: str) -> list[Path]:
        """Pictures whose path without ending ends with all of `name`."""
        found = self._by_stem[name.rpartition("/")[2]]
        return [path for path in found if f"/{self._files.name(path.with_name(path.stem))}".endswith(f"/{name}")]

    def called(self, stem: str) -> list[Path]:
        """Pictures of that name without ending, in any folder."""
        return list(self._by_stem[stem])

    def tail(self, stated: str) -> Path | None:
        """What the longest end of a path from another machine leads to: `/home/me/set/images/a.jpg`. Of a longer path
        the end has two parts or more, or names a split: `images` alone may be another folder of that name."""
        parts = plain(stated).split("/")
        end = len(parts) if split_of(parts[-1]) else max(1, len(parts) - 1)
        for start in range(max(0, end - DEEPEST), end):
            path = self._files.root.joinpath(*parts[start:])
            if ".." not in parts[start:] and there(path):
                return path
        return None

    def missing(self, stated: str, places: Iterable[Path] = ()) -> str:
        """What a message says of a picture that is not there: its name, where it was looked for, and what is alike."""
        near = [self._files.name(path) for path in self._alike[_alike(plain(stated).rpartition("/")[2])]]
        looked = list(dict.fromkeys(_relative(place, self._files.root) for place in places))
        words = f"looked in {', '.join(looked[:SHOWN])}" if looked else ""
        there = f"there is {', '.join(_shown(name, stated) for name in near[:SHOWN])}" if near else ""
        more = "; ".join(filter(None, (words, there)))
        return f"missing file: {stated[:120]}" + (f" ({more})" if more else "")

    def _ending(self, found: list[Path], name: str) -> list[Path]:
        return [path for path in found if f"/{self._files.name(path)}".endswith(f"/{name}")]


def _shown(name: str, stated: str) -> str:
    """A file's name; where it looks like the stated one and is written otherwise, with a word of that."""
    last, wanted = name.rpartition("/")[2], plain(stated).rpartition("/")[2]
    if last == wanted or unicodedata.normalize("NFC", last) != unicodedata.normalize("NFC", wanted):
        return name
    form = "decomposed (NFD)" if unicodedata.normalize("NFD", last) == last else "composed (NFC)"
    return f"{name}, whose name is {form}"


def _alike(name: str) -> str:
    """The same for names that differ in case, normal form or a picture's ending."""
    return unicodedata.normalize("NFC", stem(name)).casefold()


def _relative(place: Path, root: Path) -> str:
    return "./" if place == root else f"{place.relative_to(root).as_posix()}/"
