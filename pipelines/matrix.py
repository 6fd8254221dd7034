"""Bring `matrix.yaml` up to date with `params.yaml`: `python -m pipelines.matrix`; `make repro` does it, too."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from core import matrix, params
from core.errors import StillhouseError
from core.params import TaskParams


def refresh(tasks: Mapping[str, TaskParams]) -> bool:
    """Write `matrix.yaml` anew where it does not fit; returns whether it did not."""
    fitted = matrix.fits(tasks)
    matrix.write(tasks)
    return not fitted


def main() -> None:
    try:
        _, tasks = params.load()
        changed = refresh(tasks)
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    count = sum(map(len, matrix.instances(tasks).values()))
    print(f"{matrix.FILE}: {count} stages of {len(tasks)} tasks" + (", made anew" if changed else ", up to date"))


if __name__ == "__main__":
    main()
