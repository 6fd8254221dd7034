"""See that `matrix.yaml`, over which `dvc.yaml` loops, lists what `params.yaml` asks for; if not, make it anew.

Every other stage comes after this one, so that `dvc repro package@detection` does not call a package up to date that
lacks a variant which `params.yaml` names.

reads   params.yaml, matrix.yaml
writes  data/plan.txt, always the same; where matrix.yaml does not fit, that one instead, and then it fails, since DVC
        has read the old one
run     python -m stages.plan
"""

from __future__ import annotations

import sys
from pathlib import Path

from core import matrix, params
from core.errors import StillhouseError
from core.files import write_text

PLANNED = Path("data", "plan.txt")
NAMED = 8
"""Stages that the message names at most."""


def plan() -> None:
    """Raises: StillhouseError where `matrix.yaml` had to be made anew."""
    _, tasks = params.load()
    if matrix.fits(tasks):
        write_text(PLANNED, f"{matrix.FILE} lists the stages that params.yaml asks for.\n")
        return
    new, gone = matrix.changes(tasks)
    matrix.write(tasks)
    told = [f"{word} {_some(names)}" for word, names in (("new:", new), ("gone:", gone)) if names]
    why = "; ".join(told) or "they lie elsewhere, or are made of others"
    raise StillhouseError(
        f"params.yaml asks for other stages than {matrix.FILE} listed ({why}). {matrix.FILE} is up to date now: run "
        "the same command again"
    )


def _some(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


if __name__ == "__main__":
    try:
        plan()
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
