"""What a package consists of: regular files, in folders that hold some. All else is named, and not opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Contents(NamedTuple):
    """What lies below a folder."""

    files: list[str]
    """Names of regular files, relative to the folder, sorted."""
    problems: list[str]
    """One sentence for each entry that no package has: links, devices, pipes, folders without a file."""


def contents(folder: Path) -> Contents:
    """Of a package's folder, which may be a link itself. No link in it is followed. Raises: OSError."""
    files, problems, waiting = [], [], [folder]
    while waiting:
        place = waiting.pop()
        entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        if not entries and place != folder:
            problems.append(f"{place.relative_to(folder).as_posix()} is an empty folder; a package has none")
        for entry in entries:
            path = Path(entry.path)
            name = path.relative_to(folder).as_posix()
            if entry.is_symlink():
                problems.append(f"{name} is a link; a package holds the files themselves")
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.is_file(follow_symlinks=False):
                files.append(name)
            else:
                problems.append(f"{name} is a pipe, a socket or a device; a package holds files alone")
    return Contents(sorted(files), sorted(problems))
