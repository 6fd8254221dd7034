"""The Pareto front, the gate and the tables, on candidates whose answer is plain."""

from __future__ import annotations

from typing import Any

import pytest
from candidate_rows import chosen, faster, row

from core.params import BudgetParams
from evaluation import candidates, gate, pareto, tables

BUDGET = BudgetParams(max_mb=10.0, max_ms=50.0, max_loss=0.02, worst_quality=0.1)


def test_counts_are_told_with_three_digits() -> None:
    assert [tables.short(n) for n in (0, 999, 1000, 999_600, 4_652_000, 1_990_000_000)] == [
        *("0", "999", "1 K", "1 M", "4.65 M", "1.99 G")
    ]


def test_the_front_holds_what_nothing_beats() -> None:
    rows = [row("best", 0.9, 30, 9), row("fast", 0.8, 10, 9), row("small", 0.7, 20, 3), row("beaten", 0.7, 31, 9)]
    candidates.mark_front(rows, "higher")
    assert [r["variant"] for r in rows if r["front"]] == ["best", "fast", "small"]


def test_twins_are_both_on_the_front() -> None:
    rows = [row("a", 0.5, 10, 1), row("b", 0.5, 10, 1)]
    candidates.mark_front(rows, "higher")
    assert all(r["front"] for r in rows)


def test_the_fastest_within_the_budget_is_chosen() -> None:
    rows = [row("best", 0.90, 40, 9), row("near", 0.89, 20, 9), row("far", 0.80, 5, 1)]
    found = chosen(rows, BUDGET)
    assert found is not None
    assert found["variant"] == "near"
    assert rows[2]["misses"] == ["max_loss 0.02: is 0.1 worse than best fp32, and up to 0.1 worse is possible"]
    assert [gate.words(each, found, faster) for each in rows[:2]] == ["0.50 times as fast as near fp32", "ships"]


def test_of_an_error_the_lower_is_better() -> None:
    budget = BudgetParams(max_mb=10.0, max_ms=50.0, max_loss=0.02, worst_quality=0.5)
    rows = [row("best", 0.10, 40, 9), row("near", 0.11, 20, 9), row("far", 0.60, 5, 1)]
    found = chosen(rows, budget, "lower")
    assert found is not None and found["variant"] == "near"
    assert rows[2]["misses"] == [
        "worst_quality 0.5: has 0.6 quality",
        "max_loss 0.02: is 0.5 worse than best fp32, and up to 0.5 worse is possible",
    ]
    candidates.mark_front(rows, "lower")
    assert [r["variant"] for r in rows if r["front"]] == ["best", "near", "far"]
    worse_and_slower = [*rows, row("beaten", 0.12, 41, 9)]
    candidates.mark_front(worse_and_slower, "lower")
    assert not worse_and_slower[-1]["front"]
    assert pareto.front(worse_and_slower, "lower") == [(5, 0.6), (20, 0.11), (40, 0.1)]


def test_of_equally_fast_ones_the_smallest_is_chosen() -> None:
    rows = [row("a", 0.9, 10, 9), row("b", 0.9, 10.2, 2), row("c", 0.9, 11, 1)]  # 2 % are no difference, 10 % are
    found = chosen(rows, BUDGET)
    assert found is not None and found["variant"] == "b"
    assert gate.verdict(found, rows, faster)["why"] == (
        "of the 3 candidates, out of 3, that keep every limit of compare.budget none is faster; "
        "a fp32 is as fast and no smaller"
    )


def test_of_many_equal_ones_some_are_named() -> None:
    rows = [row(name, 0.9, 10, 2) for name in "abcde"]
    why = gate.verdict(chosen(rows, BUDGET), rows, faster)["why"]
    assert why.endswith("none is faster; b fp32 and c fp32 and 2 more are as fast and no smaller")


def test_what_is_as_fast_as_the_choice_and_slower_than_the_fastest_is_not_called_no_smaller() -> None:
    rows = [row("fastest", 0.9, 10, 5), row("chosen", 0.9, 10.25, 4), row("near", 0.9, 10.5, 1)]
    found = chosen(rows, BUDGET)
    assert found is rows[1]
    assert [gate.words(each, found, faster) for each in rows] == [
        "as fast, and no smaller",
        "ships",
        "0.98 times as fast as chosen fp32",
    ]
    assert gate.verdict(found, rows, faster)["why"].endswith("none is faster; fastest fp32 is as fast and no smaller")


def test_of_equal_ones_the_reference_stays() -> None:
    found = chosen([row("a", 0.9, 10, 2), row("b", 0.9, 10, 2)], BUDGET)
    assert found is not None and found["variant"] == "a"


def test_a_better_one_that_is_slower_is_no_reference() -> None:
    """By luck one of many is above all others; measured against it the rest would seem to lose."""
    found = chosen([row("base", 0.80, 10, 9), row("lucky", 0.90, 20, 9)], BUDGET)
    assert found is not None and found["variant"] == "base"


@pytest.mark.parametrize(
    ("candidate", "misses"),
    [
        (row("a", 0.9, 10, 11), ["max_mb 10: has 11 MB"]),
        (row("a", 0.9, 51, 1), ["max_ms 50: has 51 ms"]),
        (row("a", 0.09, 10, 1), ["worst_quality 0.1: has 0.09 quality"]),
    ],
)
def test_without_a_candidate_nothing_is_chosen_and_reasons_are_given(
    candidate: dict[str, Any], misses: list[str]
) -> None:
    assert chosen([candidate], BUDGET) is None
    assert candidate["misses"] == misses


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-cmd", "--5", "-1-1", "@sum", "\tx", "\rx"])
def test_a_formula_becomes_text(cell: str) -> None:
    """docs/faults.md 33."""
    assert tables.plain(cell) == "'" + cell
    assert "'=HYPERLINK" in tables.comma_separated(
        [row("=HYPERLINK(1)", 0.5, 1, 1) | {"loss": {"value": 0.0, "bound": 0.0}}]
    )


@pytest.mark.parametrize("cell", ["base", "0.5", "-0.5", "-1e-05", "+3", ""])
def test_numbers_and_words_stay(cell: str) -> None:
    assert tables.plain(cell) == cell
