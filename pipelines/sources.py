"""Fingerprints of local raw data and local initial weights, so that DVC notices when such files change.

DVC cannot depend on a path that may as well be a URL or the word `sample`; so each task's `prepare` depends on
`data/sources/<task>.json` and its `train` on `data/sources/<task>.weights.json`, which this module brings up to date
before a run. The files stand in git: they say of which data a commit's results were made. A plain `dvc repro` sees what
was noted last; `python -m pipelines.sources` before it notes what there is now.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import params, paths
from core.errors import StillhouseError
from core.files import read_json, write_json
from core.params import TaskParams
from ops import ingest
from ops.ingest import weights


def refresh(tasks: Mapping[str, TaskParams]) -> list[str]:
    """Write the fingerprint of every local file anew; return a sentence for each that changed.

    Raises: SourceError when one is missing or unreadable.
    """
    changed = []
    for name, section in tasks.items():
        if _note(paths.noted(name), _data(section)):
            changed.append(f"{name}: the raw data changed since the last run")
        if _note(paths.noted_weights(name), _weights(section, name)):
            changed.append(f"{name}: the initial weights changed since the last run")
    return changed


def local(tasks: Mapping[str, TaskParams]) -> list[str]:
    """Local raw data and initial weights, as params.yaml has them."""
    data = [section.data.source for section in tasks.values() if section.data.kind == "path"]
    return data + [section.model.weights for section in tasks.values() if section.model.weights_kind == "path"]


def named(tasks: Mapping[str, TaskParams]) -> list[str]:
    """What params.yaml names that may lie outside of the repository: raw data and initial weights but for those that
    the sample or a package holds, URLs among them."""
    data = [section.data.source for section in tasks.values() if section.data.kind != "sample"]
    return data + [each.model.weights for each in tasks.values() if each.model.weights_kind in ("path", "url")]


def _data(section: TaskParams) -> dict[str, Any]:
    return ingest.fingerprint(section.data.local) if section.data.kind == "path" else {}


def _weights(section: TaskParams, name: str) -> dict[str, Any]:
    return {"sha256": weights.fetch(section.model, name)[1]} if section.model.weights_kind == "path" else {}


def _note(path: Path, found: dict[str, Any]) -> bool:
    """Whether something else was noted."""
    if path.exists() and read_json(path) == found:
        return False
    write_json(path, found)
    return True


def main() -> None:
    try:
        told = refresh(params.load()[1])
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print("\n".join(told) or f"{paths.noted('*').parent}: up to date")


if __name__ == "__main__":
    main()
