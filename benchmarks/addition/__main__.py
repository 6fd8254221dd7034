"""See the package."""

from __future__ import annotations

import argparse
import json

import benchmarks.addition
from benchmarks.addition import sweep, table
from benchmarks.clones import machine


def main() -> None:
    parser = argparse.ArgumentParser(description=benchmarks.addition.__doc__)
    parser.add_argument("command", choices=["run", "table"])
    if parser.parse_args().command == "run":
        found = {"machine": machine(), "sums": sweep.run()}
        sweep.MEASURED.parent.mkdir(exist_ok=True)
        sweep.MEASURED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    table.PAGE.write_text(table.page(), encoding="utf-8")
    print(table.PAGE)


if __name__ == "__main__":
    main()
