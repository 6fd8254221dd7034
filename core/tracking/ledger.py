"""Which run made what `dvc.lock` says: so that a stage that DVC restored from its cache links to its original run.

`.stillhouse/runs.json` maps each stage to the digest of its last entry in `dvc.lock` and, by digest, the key of the run
that made it. DVC writes the entry after the stage has ended, so a run waits as `pending` until the next look.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from filelock import FileLock

from core import lineage, paths
from core.files import read_json, write_json

PATH = paths.STATE / "runs.json"


def executed(name: str, key: str) -> None:
    """Stage `name` has just run as run `key`; DVC will write its entry soon."""
    with _lock():
        book = _read()
        book["pending"][name] = key
        write_json(PATH, book)


def settle() -> dict[str, str]:
    """Bring the ledger up to date with `dvc.lock`.

    Returns: stages whose entry changed although they did not run, with the key of the run that made it: restored ones.
    """
    with _lock():
        book = _read()
        restored = {}
        for name, entry in lineage.locked().items():
            digest = _digest(entry)
            if book["last"].get(name) == digest:
                continue
            book["last"][name] = digest
            key = book["pending"].pop(name, None)
            if key is not None:
                book["runs"].setdefault(name, {})[digest] = key
            elif known := book["runs"].get(name, {}).get(digest):
                restored[name] = known
        write_json(PATH, book)
    return restored


def run_of(name: str) -> str | None:
    """Key of the run that made the present output of stage `name`, None when it is not known."""
    with _lock():
        book = _read()
    known = book["runs"].get(name, {}).get(book["last"].get(name))
    return book["pending"].get(name) or known


def _read() -> dict[str, Any]:
    try:
        return dict(read_json(PATH))
    except (FileNotFoundError, ValueError):
        return {"last": {}, "pending": {}, "runs": {}}


def _digest(entry: Any) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True, default=str).encode()).hexdigest()


def _lock() -> FileLock:
    PATH.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(PATH.with_suffix(".lock"))
