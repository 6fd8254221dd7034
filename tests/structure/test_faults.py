"""`docs/faults.md` and the tests say the same: each fault has a number, and a test that exists, or none yet."""

from __future__ import annotations

import re
from pathlib import Path

from imports import ROOT

PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]*) \|$", PAGE, re.MULTILINE)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NOT_YET = "not yet"


def cases(name: str) -> set[str]:
    """Of a test file, which has its name alone."""
    (path,) = (path for path in TESTS if path.name == name)
    return set(re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_fault_is_numbered_and_told() -> None:
    assert [int(number) for number, *_ in ROWS] == list(range(1, len(ROWS) + 1))
    assert PAGE.count("\n| ") == len(ROWS) + PAGE.count("| fault |")  # no row has another form


def test_the_tests_of_a_fault_exist() -> None:
    missing = []
    for number, _, _, tests in ROWS:
        named = re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", tests)
        if not named and NOT_YET not in tests:
            missing.append(f"{number} names no test, and does not say {NOT_YET!r}")
        missing += [f"{number}: {file}::{case}" for file, case in named if case and case not in cases(file)]
        assert all(cases(file) for file, _ in named)
    assert not missing, missing


def test_what_tests_refer_to_stands_there() -> None:
    wrong = []
    for path in TESTS:
        text = path.read_text(encoding="utf-8")
        if path != Path(__file__) and re.search(r"(?<!docs/)faults\.md|\b(Row|Fault) \d+\b", text):
            wrong.append(f"{path.name} refers to faults without docs/faults.md")
        for words in re.findall(r"docs/faults\.md ((?:\d+(?:-| to |, | and )?)+)", text):
            wrong += [f"{path.name}: {n}" for n in re.findall(r"\d+", words) if not 1 <= int(n) <= len(ROWS)]
    assert not wrong, wrong
