"""`python -m ops.passport verify|trace FOLDER|FILE.onnx`, or `export FOLDER TARGET [DATA]` (`formats/`).

Exit code 2 when something is not as it was packaged.
"""

from __future__ import annotations

import sys
from pathlib import Path

from core.errors import ModelError
from ops import passport
from ops.passport import formats, trace

USAGE = """usage: python -m ops.passport verify|trace FOLDER|FILE.onnx
       python -m ops.passport export FOLDER TARGET [DATA]"""


def main() -> None:
    match sys.argv[1:]:
        case ["export", folder, target, *data] if len(data) < 2:
            export(Path(folder), Path(target), Path(data[0]) if data else None)
            return
        case ["verify" | "trace" as command, place]:
            path = Path(place)
        case _:
            print(USAGE, file=sys.stderr)
            sys.exit(2)
    try:
        if command == "trace":
            print(trace.text(path))
        problems = passport.verify(path)
    except ModelError as error:
        problems = [str(error)]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(2)
    print(f"{'' if command == 'verify' else chr(10)}{path}: all links hold")


def export(folder: Path, target: Path, data: Path | None) -> None:
    """Write the package's documents in other formats."""
    try:
        notes = formats.export(folder, target, data)
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"{target}: {', '.join(formats.NAMES)}")


if __name__ == "__main__":
    main()
