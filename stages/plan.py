"""See that `matrix.yaml`, over which `dvc.yaml` loops, lists what `params.yaml` asks for; if not, make it anew.

reads   params.yaml, matrix.yaml
writes  matrix.yaml, where it does not fit; then it fails, since DVC has read the old one
run     python -m stages.plan
"""

from __future__ import annotations

import sys

from core import matrix, params
from core.errors import StillhouseError
from core.files import write_text


def plan() -> None:
    """Raises: StillhouseError where `matrix.yaml` had to be made anew."""
    _, tasks = params.load()
    if matrix.fits(tasks):
        return
    wanted = matrix.text(tasks)
    new, gone = matrix.changes(tasks)
    write_text(matrix.FILE, wanted)
    told = [f"{word} {', '.join(names)}" for word, names in (("new:", new), ("gone:", gone)) if names]
    raise StillhouseError(
        f"params.yaml asks for other stages than {matrix.FILE} listed ({'; '.join(told) or 'they lie elsewhere'}). "
        f"{matrix.FILE} is up to date now: run the same command again"
    )


if __name__ == "__main__":
    try:
        plan()
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
