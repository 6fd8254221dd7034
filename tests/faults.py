"""What docs/faults.md says, and the tests of some of its rows in one command:

pytest --faults 98-136
pytest --faults 7,98-136 -m ""      those of the slow tiers, too
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "faults.md"
NOT_YET = "not yet"


class Row(NamedTuple):
    number: int
    fault: str
    outcome: str
    tests: str
    """The cell, as it is written."""

    @property
    def named(self) -> list[tuple[str, str]]:
        """File and case of each test; the case is empty where a whole file is meant."""
        return re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", self.tests)


def rows() -> list[Row]:
    found = re.findall(
        r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return [Row(int(number), *cells) for number, *cells in found]


def chosen(words: str) -> set[int]:
    """Of `7,98-136`. Raises: UsageError when it is no list of numbers and ranges."""
    numbers: set[int] = set()
    for word in words.split(","):
        if not (range_ := re.fullmatch(r"(\d+)(?:-(\d+))?", word.strip())):
            raise pytest.UsageError(f"--faults {words!r}: expected numbers of docs/faults.md and ranges, as 7,98-136")
        first, last = range_.groups()
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", metavar="ROWS", help="only the tests that docs/faults.md names for these rows")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not (words := config.getoption("--faults")):
        return
    numbers = chosen(words)
    named = {test for row in rows() if row.number in numbers for test in row.named}
    keep, leave = [], []
    for item in items:
        case = item.name.partition("[")[0]
        (keep if {(item.path.name, case), (item.path.name, "")} & named else leave).append(item)
    config.hook.pytest_deselected(items=leave)
    items[:] = keep
