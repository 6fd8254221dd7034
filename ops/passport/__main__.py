"""`python -m ops.passport verify|trace FOLDER|FILE.onnx`; exit code 2 when something is not as it was packaged."""

from __future__ import annotations

import sys
from pathlib import Path

from core.errors import ModelError
from ops import passport
from ops.passport import trace


def main() -> None:
    match sys.argv[1:]:
        case ["verify" | "trace" as command, place]:
            path = Path(place)
        case _:
            print("usage: python -m ops.passport verify|trace FOLDER|FILE.onnx", file=sys.stderr)
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


if __name__ == "__main__":
    main()
