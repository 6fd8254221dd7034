"""The one walk over a folder of raw data: what a fingerprint hashes and what a reader reads are the same files.

Links are followed, to files and to folders: data often lies on another disk. A folder that a link leads back to from
within itself is entered once. (Archives and git sources bring no links: `ops.ingest` refuses them.)
"""

from __future__ import annotations

import codecs
import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from core.errors import SourceError

HIDDEN = (
    ".*", "*~", "#*#", "~$*", "*.tmp", "*.part", "*.partial", "*.crdownload", "@eadir", "__macosx", "__pycache__",
    "$recycle.bin", "system volume information", "lost+found", "thumbs.db", "ehthumbs.db", "desktop.ini",
)  # fmt: skip
"""Names of files and folders that programs leave behind, in lower case: no person's data."""


_HIDDEN = re.compile("|".join(map(translate, HIDDEN)))
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".rar", ".7z")


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
    return [path for path, _ in _walk(root, (), False)]


def listing(root: Path) -> Listing:
    """The files below a folder, data and the rest apart. Raises: SourceError as `files_below`."""
    files: list[Path] = []
    hidden: list[Path] = []
    for path, apart in _walk(root, (), False):
        (hidden if apart else files).append(path)
    return Listing(root, files, hidden)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is a program's and no data.

    >>> is_hidden("._cat.jpg"), is_hidden("@eaDir"), is_hidden("Thumbs.db"), is_hidden("cat.jpg~"), is_hidden("cat.jpg")
    (True, True, True, True, False)
    """
    return _HIDDEN.fullmatch(name.lower()) is not None


def packed(names: list[str]) -> str:
    """A hint where archives are among what was found instead of data."""
    found = next((name for name in names if name.lower().endswith(ARCHIVES)), None)
    return f". {found} is an archive: unpack it, or name it in data.source (zip or tar)" if found else ""


def there(path: Path) -> bool:
    """Whether a path that data names is a file or a folder; one that no file can have (NUL, thousands of letters) is
    none, and neither is a pipe, at which a reader would wait for ever."""
    try:
        return path.is_file() or path.is_dir()
    except ValueError:
        return False
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def inside(path: Path, root: Path, trusted: bool) -> bool:
    """Whether `path` is a file that may be read: below `root`, by its real place unless the source is `trusted`."""
    if not there(path) or not path.is_file():
        return False
    if trusted:  # links of the user's own folder may lead anywhere; `..` in a name of the data may not
        return Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root))
    return path.resolve().is_relative_to(root.resolve())


def text(path: Path) -> str:
    """A small file of labels or names as text: UTF-8, or UTF-16 by its mark (PowerShell's `>`); marks are no text, and
    bytes that are no text become U+FFFD."""
    data = path.read_bytes()
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")


def _walk(folder: Path, above: tuple[tuple[int, int], ...], hidden: bool) -> Iterator[tuple[Path, bool]]:
    """Files in the order of their paths' parts, each with whether it, or a folder around it below the first, is a
    program's.

    above: device and number of the folders around, so that a link into one of them ends there.
    """
    try:
        stat = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:  # Path.rglob would leave such a folder out
        raise SourceError(f"{error.filename} cannot be read ({error.strerror}); give this user read access") from None
    mark = (stat.st_dev, stat.st_ino)
    if mark in above:
        return
    for entry in entries:
        apart = hidden or is_hidden(entry.name)
        if _is(entry.is_dir):
            if entry.name != ".git":
                yield from _walk(folder / entry.name, (*above, mark), apart)
        elif _is(entry.is_file):
            yield folder / entry.name, apart


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError as error:
        if error.errno != errno.ELOOP:  # a link that leads to itself is neither file nor folder
            raise
        return False
