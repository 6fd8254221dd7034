"""Raw data from where `<task>.data.source` says: a path, an archive by URL, a git repository; verified and cached.

What was fetched lies below `.stillhouse/downloads/`, named by its checksum, written aside and renamed.
"""

from __future__ import annotations

from pathlib import Path

from core.errors import SourceError
from core.ingest import archive, download, git
from core.ingest.local import fingerprint
from core.params import SourceParams

__all__ = ["fetch", "fingerprint"]


def fetch(params: SourceParams, task: str) -> Path:
    """A local folder or file with the raw data. Raises: SourceError naming `<task>.data.source`."""
    try:
        if params.kind == "path":
            return _local(Path(params.source))
        if params.kind == "git":
            return git.checkout(params.source, params.commit or "", allow_private=params.allow_private)
        return archive.unpack(download.download(params.source, params.sha256 or "", allow_private=params.allow_private))
    except SourceError as error:
        raise SourceError(f"{task}.data.source {params.source!r}: {error}") from None


def _local(path: Path) -> Path:
    if not path.exists():
        around = sorted(entry.name for entry in path.parent.iterdir())[:8] if path.parent.is_dir() else []
        there = f"{path.parent} holds {', '.join(around) or 'nothing'}" if around else f"{path.parent} is missing, too"
        raise SourceError(f"there is no such file or folder; {there}. Mend the path in params.yaml")
    try:
        next(iter(path.iterdir()), None) if path.is_dir() else path.open("rb").close()
    except PermissionError:
        raise SourceError("it cannot be read: permission denied; give this user read access") from None
    return path
