"""A digest of a local source, quick the second time: contents are hashed again only when size or time changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from core import paths
from core.errors import SourceError
from core.files import read_json, sha256, write_json


def files_below(root: Path) -> list[Path]:
    """All files below a folder but git's own, sorted. Raises: SourceError for a folder that may not be listed."""
    found = []
    for folder, folders, names in os.walk(root, onerror=_refuse):  # Path.rglob would leave such a folder out
        folders[:] = [name for name in folders if name != ".git"]
        found += [Path(folder, name) for name in names]
    return sorted(path for path in found if path.is_file())


def _refuse(error: OSError) -> None:
    raise SourceError(f"{error.filename} cannot be read ({error.strerror}); give this user read access") from None


def fingerprint(path: Path) -> dict[str, Any]:
    """`count` of files, `bytes` and `digest` (sha256 over relative names and contents) of a file or folder.

    Raises: SourceError when there is nothing.
    """
    if not path.exists():
        raise SourceError(f"data.source {str(path)!r}: there is no such file or folder; mend the path in params.yaml")
    root = path.resolve()
    files = files_below(root) if root.is_dir() else [root]
    memory = paths.STATE / "fingerprints" / f"{hashlib.sha256(str(root).encode()).hexdigest()[:16]}.json"
    known: dict[str, Any] = read_json(memory) if memory.exists() else {}
    found: dict[str, Any] = {}
    total = hashlib.sha256()
    for file in files:
        name, stat = str(file.relative_to(root)), file.stat()
        mark = [stat.st_size, stat.st_mtime_ns]
        old = known.get(name)
        try:
            found[name] = old if old and old[:2] == mark else [*mark, sha256(file)]
        except PermissionError:
            raise SourceError(f"data.source: {file} cannot be read; give this user read access") from None
        total.update(f"{name}\0{found[name][2]}\n".encode())
    if found != known:
        write_json(memory, found)
    return {"count": len(files), "bytes": sum(entry[0] for entry in found.values()), "digest": total.hexdigest()}
