"""See the package."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import benchmarks.notes
from benchmarks.notes import run, table


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.notes",
        description=benchmarks.notes.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="measure one preset")
    one.add_argument("preset", choices=[experiment["preset"] for experiment in table.experiments()])
    one.add_argument("--data", help="a local copy of its data")
    one.add_argument("--folder", type=Path, help="where the clone is made; else a temporary folder, which stays")
    commands.add_parser("table", help="write docs/notes.md")
    arguments = parser.parse_args()
    if arguments.command == "run":
        folder = arguments.folder or Path(tempfile.mkdtemp(prefix="stillhouse-notes-")) / arguments.preset
        data = str(Path(arguments.data).resolve()) if arguments.data else None
        try:
            print(run.run(arguments.preset, data, folder))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
    table.PAGE.write_text(table.page(), encoding="utf-8")
    print(table.PAGE)


if __name__ == "__main__":
    main()
