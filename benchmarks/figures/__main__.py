"""See the package."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import benchmarks.figures
from benchmarks.figures import run, table


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.figures",
        description=benchmarks.figures.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="run one preset in a clone and take its figures")
    one.add_argument("preset", choices=list(table.PRESETS))
    one.add_argument("--data", help="a local copy of its data")
    one.add_argument("--folder", type=Path, help="where the clone is made; else a temporary folder, which stays")
    done = commands.add_parser("read", help="take the figures of a checkout in which `make repro` has ended")
    done.add_argument("preset", choices=list(table.PRESETS))
    done.add_argument("folder", type=Path)
    commands.add_parser("table", help="write docs/figures.md")
    arguments = parser.parse_args()
    try:
        if arguments.command == "run":
            folder = arguments.folder or Path(tempfile.mkdtemp(prefix="stillhouse-figures-")) / arguments.preset
            data = str(Path(arguments.data).resolve()) if arguments.data else None
            print(run.run(arguments.preset, data, folder))
        elif arguments.command == "read":
            print(run.read(arguments.preset, arguments.folder))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    table.PAGE.write_text(table.page(), encoding="utf-8")
    print(table.PAGE)


if __name__ == "__main__":
    main()
