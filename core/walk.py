"""The one walk over a folder of raw data: what a fingerprint hashes and what a reader reads are the same files.

Links are followed, to files and to folders: data often lies on another disk. A folder that a link leads back to from
within itself is entered once. (Archives and git sources bring no links: `ops.ingest` refuses them.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from core.errors import SourceError

HIDDEN = (
    ".*", "*~", "#*#", "~$*", "*.tmp", "*.part", "*.partial", "*.crdownload", "@eadir", "__macosx", "__pycache__",
    "$recycle.bin", "system volume information", "lost+found", "thumbs.db", "ehthumbs.db", "desktop.ini",
)  # fmt: skip
"""Names of files and folders that programs leave behind, in lower case: no person's data."""


@dataclass(frozen=True)
class Listing:
    """Paths of files below `root`, sorted."""

    root: Path
    files: list[Path]
    hidden: list[Path]
    """What a program made, or what lies in such a folder."""

    def name(self, path: Path) -> str:
        """Relative to the root, with `/`."""
        return path.relative_to(self.root).as_posix()


def files_below(root: Path) -> list[Path]:
    """All files below a folder but git's own, sorted. Raises: SourceError for a folder that may not be listed."""
    return sorted(path for path in _walk(root, ()) if path.is_file())


def listing(root: Path) -> Listing:
    """The files below a folder, data and the rest apart. Raises: SourceError as `files_below`."""
    files: list[Path] = []
    hidden: list[Path] = []
    for path in files_below(root):
        (hidden if any(map(is_hidden, path.relative_to(root).parts)) else files).append(path)
    return Listing(root, files, hidden)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is a program's and no data.

    >>> is_hidden("._cat.jpg"), is_hidden("@eaDir"), is_hidden("Thumbs.db"), is_hidden("cat.jpg~"), is_hidden("cat.jpg")
    (True, True, True, True, False)
    """
    return any(fnmatch(name.lower(), pattern) for pattern in HIDDEN)


def _walk(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """above: device and number of the folders around, so that a link into one of them ends there."""
    try:
        stat = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:  # Path.rglob would leave such a folder out
        raise SourceError(f"{error.filename} cannot be read ({error.strerror}); give this user read access") from None
    mark = (stat.st_dev, stat.st_ino)
    if mark in above:
        return
    for entry in entries:
        if not entry.is_dir():
            yield folder / entry.name
        elif entry.name != ".git":
            yield from _walk(folder / entry.name, (*above, mark))
