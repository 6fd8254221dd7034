"""See the package."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import benchmarks.pruning
from benchmarks.pruning import page, run


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pruning",
        description=benchmarks.pruning.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="prune a task's sample in every way in a clone")
    one.add_argument("task", choices=page.TASKS)
    one.add_argument("--folder", type=Path, help="where the clone is made; else a temporary folder, which stays")
    done = commands.add_parser("read", help="take the figures of a checkout in which that has ended")
    done.add_argument("task", choices=page.TASKS)
    done.add_argument("folder", type=Path)
    commands.add_parser("table", help="write docs/pruning.md and docs/pruning.png")
    arguments = parser.parse_args()
    try:
        if arguments.command == "run":
            folder = arguments.folder or Path(tempfile.mkdtemp(prefix="stillhouse-")) / arguments.task
            print(run.run(arguments.task, folder))
        elif arguments.command == "read":
            print(run.read(arguments.task, arguments.folder))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    page.write()
    print(page.PAGE)


if __name__ == "__main__":
    main()
