"""The real Great Expectations on small tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from core.task import Expectation
from validation import suites

BETWEEN = Expectation(
    "expect_column_values_to_be_between", {"column": "width", "min_value": 1}, "width is at least 1 pixel"
)


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {"id": [1, 2, 3], "file": ["a.xml", "b.xml", "c.xml"], "row": [1, 1, 4], "split": "train", "width": [5, 0, 9]}
    )


def test_failing_rows_are_named_with_file_row_and_field(table: pd.DataFrame, tmp_path: Path) -> None:
    twins = Expectation("expect_column_values_to_be_unique", {"column": "width"}, "width stands once")
    outcome = suites.run("toy", {"boxes": table}, {"boxes": [BETWEEN, twins]}, tmp_path / "docs")["boxes"]
    assert [(row["file"], row["row"], row["field"], row["found"]) for row in outcome.quarantine] == [
        ("b.xml", 1, "width", "0")
    ]
    assert outcome.bad_ids == {2}
    assert not outcome.broken
    assert {check["reason"]: check["failed"] for check in outcome.checks} == {BETWEEN.reason: 1, twins.reason: 0}
    assert (tmp_path / "docs" / "index.html").is_file()


def test_pairs_of_columns_are_quarantined_too(table: pd.DataFrame, tmp_path: Path) -> None:
    smaller = Expectation(
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "width", "column_B": "row", "or_equal": True},
        "width is at least row",
    )
    outcome = suites.run("toy", {"boxes": table}, {"boxes": [smaller]}, tmp_path / "docs")["boxes"]
    assert outcome.bad_ids == {2}
    assert outcome.quarantine[0]["field"] == "width, row"


def test_a_check_that_raises_is_a_failure(table: pd.DataFrame, tmp_path: Path) -> None:
    """docs/faults.md 45."""
    wrong = Expectation("expect_column_values_to_be_between", {"column": "absent", "min_value": 0}, "never passes")
    outcome = suites.run("toy", {"boxes": table}, {"boxes": [wrong]}, tmp_path / "docs")["boxes"]
    assert len(outcome.broken) == 1
    assert "absent" in outcome.broken[0]


def test_a_table_check_breaks_instead_of_quarantining(table: pd.DataFrame, tmp_path: Path) -> None:
    rows = Expectation("expect_table_row_count_to_be_between", {"min_value": 10}, "at least 10 rows", "table")
    outcome = suites.run("toy", {"boxes": table}, {"boxes": [rows]}, tmp_path / "docs")["boxes"]
    assert outcome.broken == ["table 'boxes': at least 10 rows; found 3"]
