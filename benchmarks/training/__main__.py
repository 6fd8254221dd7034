"""See the package."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import benchmarks.training
from benchmarks.training import page, run
from core.errors import StillhouseError


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=benchmarks.training.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="measure the sample of a task in a clone")
    one.add_argument("--folder", type=Path, help="where the clone is made; else a temporary folder, which stays")
    near = commands.add_parser("here", help="measure in this checkout, where the data of the task is")
    for command in (one, near):
        command.add_argument("task", choices=page.TASKS)
        command.add_argument("--compile", action="store_true", help="the engine with torch.compile as well")
    commands.add_parser("table", help="write docs/training.md")
    arguments = parser.parse_args()
    try:
        if arguments.command != "table":
            ways = run.WAYS | (run.COMPILED if arguments.compile else {})
            if arguments.command == "here":
                print(run.here(arguments.task, ways))
            else:
                folder = arguments.folder or Path(tempfile.mkdtemp(prefix="stillhouse-")) / arguments.task
                print(run.run(arguments.task, folder, ways))
    except (OSError, subprocess.CalledProcessError, StillhouseError) as error:
        sys.exit(f"error: {error}")
    page.PAGE.write_text(page.page(), encoding="utf-8")
    print(page.PAGE)


if __name__ == "__main__":
    main()
