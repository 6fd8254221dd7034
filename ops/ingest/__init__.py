"""Raw data from where `<task>.data.source` says: a path, an archive by URL, a git repository; verified and cached.

What was fetched lies below `.stillhouse/downloads/`, named by its checksum, written aside and renamed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from core.errors import SourceError
from core.files import read_json, sha256, write_json
from core.params import SourceParams
from core.walk import files_below
from ops.ingest import archive, download, git
from ops.ingest.local import fingerprint

__all__ = ["fetch", "fingerprint"]


def fetch(params: SourceParams, task: str) -> Path:
    """A local folder or file with the raw data. Raises: SourceError naming `<task>.data.source`."""
    try:
        if params.kind == "path":
            return _local(params.local)
        with download.alone(params.commit or params.sha256 or ""):
            if params.kind == "git":
                return _checked(git.folder(params.commit or "", params.files), lambda: _clone(params))
            return _checked(archive.folder(params.sha256 or ""), lambda: _download(params))
    except SourceError as error:
        raise type(error)(f"{task}.data.source {params.address!r}: {error}") from None


def _clone(params: SourceParams) -> None:
    git.checkout(params.source, params.commit or "", params.files, allow_private=params.allow_private)


def _download(params: SourceParams) -> None:
    digest = params.sha256 or ""
    archive.unpack(download.download(params.source, digest, allow_private=params.allow_private), digest)


def _checked(folder: Path, make: Callable[[], object]) -> Path:
    """`folder` as `make` left it: files that somebody changed, added or removed since are fetched anew."""
    seal = folder.with_name(folder.name + ".json")
    if folder.exists() and seal.exists() and read_json(seal) == fingerprint(folder):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    make()
    write_json(seal, fingerprint(folder))
    return folder


def _local(path: Path) -> Path:
    if not path.exists():
        around = sorted(entry.name for entry in path.parent.iterdir())[:8] if path.parent.is_dir() else []
        there = f"{path.parent} holds {', '.join(around) or 'nothing'}" if around else f"{path.parent} is missing, too"
        raise SourceError(f"there is no such file or folder; {there}. Mend the path in params.yaml")
    try:
        files_below(path) if path.is_dir() else path.open("rb").close()
    except PermissionError:
        raise SourceError("it cannot be read: permission denied; give this user read access") from None
    if path.is_file() and archive.is_archive(path):
        digest = sha256(path)
        with download.alone(digest):
            return _checked(archive.folder(digest), lambda: archive.unpack(path, digest))
    return path
