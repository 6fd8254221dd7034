"""`docs/faults.md` and the tests say the same: each fault has a number, and a test that exists, or none yet."""

from __future__ import annotations

import re
from pathlib import Path

import faults
import pytest
from faults import NOT_YET, PAGE
from imports import ROOT

ROWS = faults.rows()
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def cases(name: str) -> set[str]:
    """Of a test file, which has its name alone."""
    (path,) = (path for path in TESTS if path.name == name)
    return set(re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_fault_is_numbered_and_told() -> None:
    assert [row.number for row in ROWS] == list(range(1, len(ROWS) + 1))
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("\n| ") == len(ROWS) + page.count("| fault |")  # no row has another form


def test_the_tests_of_a_fault_exist() -> None:
    missing = []
    for row in ROWS:
        if not row.named and NOT_YET not in row.tests:
            missing.append(f"{row.number} names no test, and does not say {NOT_YET!r}")
        missing += [f"{row.number}: {file}::{case}" for file, case in row.named if case and case not in cases(file)]
        assert all(cases(file) for file, _ in row.named)
    assert not missing, missing


def test_what_tests_refer_to_stands_there() -> None:
    wrong = []
    for path in TESTS:
        text = path.read_text(encoding="utf-8")
        if path.name not in ("test_faults.py", "faults.py") and re.search(
            r"(?<!docs/)faults\.md|\b(Row|Fault) \d+\b", text
        ):
            wrong.append(f"{path.name} refers to faults without docs/faults.md")
        for words in re.findall(r"docs/faults\.md ((?:\d+(?:-| to |, | and )?)+)", text):
            wrong += [f"{path.name}: {n}" for n in re.findall(r"\d+", words) if not 1 <= int(n) <= len(ROWS)]
    assert not wrong, wrong


def test_rows_are_chosen_by_number_and_range() -> None:
    assert faults.chosen("7,98-100") == {7, 98, 99, 100}
    for words in ("", "x", "3-", "1,,2", "-4"):
        with pytest.raises(pytest.UsageError, match=r"expected numbers of docs/faults\.md"):
            faults.chosen(words)


def test_only_the_tests_of_those_rows_run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    here = request.node
    item = type("Item", (), {"path": Path("test_flow.py"), "name": "test_other"})()
    items = [here, item]
    monkeypatch.setattr(faults, "rows", lambda: [faults.Row(5, "", "", f"`{Path(__file__).name}::{here.name}`")])
    monkeypatch.setattr(request.config.option, "faults", "5")
    faults.pytest_collection_modifyitems(request.config, items)
    assert items == [here]
