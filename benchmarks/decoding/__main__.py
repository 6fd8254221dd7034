"""See the package."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

import benchmarks.decoding
from benchmarks.decoding import page, run


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decoding",
        description=benchmarks.decoding.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="measure a translator, and write the page")
    one.add_argument("name", help="of the file in measured/")
    one.add_argument("folder", type=Path, help="models/translation/VARIANT, with its checkpoint, fp32 and int8")
    one.add_argument("--data", type=Path, help="the clean dataset; else that of the checkout of FOLDER")
    commands.add_parser("table", help="write docs/decoding.md")
    arguments = parser.parse_args()
    if arguments.command == "run":
        if not importlib.util.find_spec("ctranslate2"):
            sys.exit(f"CTranslate2 is not installed: pip install ctranslate2=={run.VERSION}")
        try:
            print(run.run(arguments.name, arguments.folder, arguments.data))
        except (OSError, ValueError) as error:
            sys.exit(f"error: {error}")
    page.PAGE.write_text(page.page(), encoding="utf-8")
    print(page.PAGE)


if __name__ == "__main__":
    main()
