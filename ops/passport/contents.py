"""What a package consists of: regular files, in folders that hold some. All else is named, and not opened."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

CACHED = re.compile(r"files/md5/[0-9a-f]{2}/[0-9a-f]{30}")
"""The end of an object's path in DVC's cache, https://dvc.org/doc/user-guide/project-structure/internal-files."""


class Contents(NamedTuple):
    """What lies below a folder."""

    files: list[str]
    """Names of regular files, relative to the folder, sorted; `linked` among them."""
    linked: list[str]
    """Links into DVC's cache, as DVC makes them of an output where its `cache.type` is `symlink`."""
    problems: list[str]
    """One sentence for each entry that no package has: links, devices, pipes, folders without a file."""


def contents(folder: Path) -> Contents:
    """Of a package's folder, which may be a link itself. No link in it is followed but DVC's. Raises: OSError."""
    files, linked, problems, waiting = [], [], [], [folder]
    while waiting:
        place = waiting.pop()
        entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        if not entries and place != folder:
            problems.append(f"{place.relative_to(folder).as_posix()} is an empty folder; a package has none")
        for entry in entries:
            path = Path(entry.path)
            name = path.relative_to(folder).as_posix()
            if entry.is_symlink() and _cached(path):
                files.append(name)
                linked.append(name)
            elif entry.is_symlink():
                problems.append(f"{name} is a link; a package holds the files themselves")
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.is_file(follow_symlinks=False):
                files.append(name)
            else:
                problems.append(f"{name} is a pipe, a socket or a device; a package holds files alone")
    return Contents(sorted(files), sorted(linked), sorted(problems))


def _cached(link: Path) -> bool:
    """Whether it leads straight to an object of a DVC cache."""
    target = link.readlink()
    return bool(CACHED.fullmatch("/".join(target.parts[-4:]))) and target.is_file() and not target.is_symlink()
