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
from core.errors import StillhouseError
from core.files import read_json, write_json

PATH = paths.STATE / "runs.json"


def executed(name: str, key: str, pipeline: str) -> None:
    """Stage `name` has just run as run `key` in an execution of the pipeline; DVC will write its entry soon."""
    with _lock():
        book = _read()
        book["pending"][name] = key
        book.setdefault("pipelines", {})[name] = pipeline
        write_json(PATH, book)


def settle(running: str | None = None) -> dict[str, str]:
    """Bring the ledger up to date with `dvc.lock`.

    running: key of the pipeline execution that still runs: DVC may be about to write entries of its stages.
    Returns: stages whose entry changed although they did not run, with the key of the run that made it: restored ones.
    """
    try:
        entries = lineage.locked()
    except StillhouseError:
        return {}  # DVC will say so; here it must not fail a stage
    with _lock():
        book = _read()
        restored = {}
        for name, entry in entries.items():
            digest = _digest(entry)
            changed = book["last"].get(name) != digest
            over = running is None or book.get("pipelines", {}).get(name) != running
            if not changed and not (over and name in book["pending"]):
                continue
            book["last"][name] = digest
            key, runs = book["pending"].pop(name, None), book["runs"].setdefault(name, {})
            if changed and digest in runs and (key is None or over):
                restored[name] = runs[digest]
            elif key is not None:
                runs[digest] = key if changed else runs.get(digest, key)  # `--force` may make the same again
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
