"""See the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import benchmarks.figures
from benchmarks import clones
from benchmarks.figures import run, table


def main() -> None:
    parser, commands = clones.parser("figures", benchmarks.figures.__doc__, list(table.PRESETS))
    done = commands.add_parser("read", help="take the figures of a checkout in which `make repro` has ended")
    done.add_argument("preset", choices=list(table.PRESETS))
    done.add_argument("folder", type=Path)
    commands.add_parser("table", help="write docs/figures.md")
    arguments = parser.parse_args()
    try:
        if arguments.command == "run":
            print(clones.start(run.run, arguments))
        elif arguments.command == "read":
            print(run.read(arguments.preset, arguments.folder))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    table.PAGE.write_text(table.page(), encoding="utf-8")
    print(table.PAGE)


if __name__ == "__main__":
    main()
