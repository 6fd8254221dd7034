"""Fingerprints of local raw data, so that DVC notices when the files at `<task>.data.source` change.

DVC cannot depend on a path that may as well be a URL or the word `sample`; so each task's `prepare` depends on
`data/sources/<task>.json`, which this module brings up to date before a run. The file stands in git: it says of which
data a commit's results were made.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core import paths
from core.files import read_json, write_json
from core.params import TaskParams
from ops import ingest


def refresh(tasks: Mapping[str, TaskParams]) -> list[str]:
    """Write the fingerprint of every local source anew; return the tasks whose data changed.

    Raises: SourceError when a local source is missing or unreadable.
    """
    changed = []
    for name, params in tasks.items():
        found = ingest.fingerprint(Path(params.data.source)) if params.data.kind == "path" else {}
        path = paths.source(name)
        if not path.exists() or read_json(path) != found:
            write_json(path, found)
            changed.append(name)
    return changed
