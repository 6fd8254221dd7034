"""See the package."""

from __future__ import annotations

import subprocess
import sys

import benchmarks.notes
from benchmarks import clones
from benchmarks.notes import run, table


def main() -> None:
    presets = [experiment["preset"] for experiment in run.experiments()]
    parser, commands = clones.parser("notes", benchmarks.notes.__doc__, presets)
    commands.add_parser("table", help="write docs/notes.md")
    arguments = parser.parse_args()
    try:
        if arguments.command == "run":
            print(clones.start(run.run, arguments))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    table.PAGE.write_text(table.page(), encoding="utf-8")
    print(table.PAGE)


if __name__ == "__main__":
    main()
