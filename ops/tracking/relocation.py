"""A checkout that was copied or moved: its MLflow store leads to the artifacts beside it, not to the original's.

MLflow records where artifacts lie as absolute paths: of an experiment (so where the next run writes), of each run and
of each version of a model. What lay below the checkout that recorded them lies below this one, in the same place.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from core import paths
from core.errors import StillhouseError

HOME = paths.STATE / "mlflow"
"""Of a checkout: the folder of its own store."""
DATABASE = "mlflow.db"
ARTIFACTS = "artifacts"
BELOW = (paths.STATE, Path("mlruns"))
"""Folders of a checkout that its store leads to: of the runs made here or in a search, and of MLflow's `Default`."""
RECORDED = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
    ("trace_tags", "value"),
)
"""Tables and columns that hold places; of a table that a version of MLflow lacks, none."""
WAIT_S = 60.0


def relocate(home: Path) -> str:
    """Let the store in `home`, an absolute path, lead to this checkout, in one transaction.

    Only what lies in `BELOW` of the checkout that recorded it is changed; a place of the user's stays.
    Returns: a sentence on what was changed, empty where nothing was.
    Raises: StillhouseError when the database cannot be read or written.
    """
    database = home / DATABASE
    if not database.exists():
        return ""
    try:
        with closing(sqlite3.connect(database, timeout=WAIT_S, isolation_level=None)) as store:
            here = home.parents[1]
            if not _elsewhere(store, here):
                return ""
            store.execute("BEGIN IMMEDIATE")
            old = _elsewhere(store, here)  # another process was faster, perhaps
            changed = sum(_move(store, root, here) for root in old)
            store.execute("COMMIT")
    except sqlite3.Error as error:
        raise StillhouseError(
            f"{database} leads to artifacts of another checkout, and cannot be mended ({error}): give this user the "
            "right to write it, or end what holds it"
        ) from None
    return f"MLflow's store was made in {', '.join(map(str, old))}: {changed} places now lead to {here}" if old else ""


def _elsewhere(store: sqlite3.Connection, here: Path) -> list[Path]:
    """Checkouts other than this one into whose artifacts a run of an experiment would write."""
    if "artifact_location" not in _columns(store, "experiments"):
        return []  # MLflow has not made its tables yet
    known = store.execute("SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location IS NOT NULL")
    places = [Path(unquote(urlsplit(text).path)) for (text,) in known if urlsplit(text).scheme == "file"]
    own, state = (HOME / ARTIFACTS).parts, here / paths.STATE
    return sorted({_root(at, here) for at in places if at.parts[-len(own) :] == own and state not in at.parents})


def _root(place: Path, here: Path) -> Path:
    """The checkout that recorded a place. That of a search has others in its state: then the outermost whose place is
    here, too."""
    roots = [above.parent for above in reversed(place.parents) if above.name == paths.STATE.name]
    return next((root for root in roots if (here / place.relative_to(root)).exists()), roots[-1])


def _move(store: sqlite3.Connection, old: Path, new: Path) -> int:
    """Returns: how many places were changed."""
    changed = 0
    pairs = [(old / folder, new / folder) for folder in BELOW]
    spelt = [(str(was), str(now)) for was, now in pairs] + [(was.as_uri(), now.as_uri()) for was, now in pairs]
    for table, column in RECORDED:
        if column not in _columns(store, table):
            continue
        for was, now in spelt:
            # Neither LIKE nor replace(): a path may hold `%` or `_`, and itself twice.
            changed += store.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - names of RECORDED
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (now, len(was) + 1, was, len(was) + 1, was + "/"),
            ).rowcount
    return changed


def _columns(store: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in store.execute(f"PRAGMA table_info({table})")}
