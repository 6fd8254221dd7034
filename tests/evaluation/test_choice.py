"""The Pareto front, the gate and the tables, on candidates whose answer is plain."""

from __future__ import annotations

from typing import Any

import pytest

from core.params import BudgetParams
from evaluation import candidates, gate, pareto, tables

BUDGET = BudgetParams(max_mb=10.0, max_ms=50.0, max_loss=0.02, worst_quality=0.1)


def row(name: str, quality: float, latency: float, size: float) -> dict[str, Any]:
    figures = {"p99_ms": latency, "per_second": 1.0, "memory_mb": 1.0, "interval": [quality, quality]}
    figures |= {
        "parameters": 4_650_000,
        "macs": 999_600,
        "test": quality - 0.01,
        "test_interval": [quality - 0.02, quality],
    }
    return {
        "variant": name,
        "precision": "fp32",
        "quality": quality,
        "latency_ms": latency,
        "size_mb": size,
        "front": False,
        **figures,
    }


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
    chosen = gate.choose(rows, BUDGET, "higher")
    assert chosen is not None
    assert chosen["variant"] == "near"
    assert rows[2]["misses"] == ["max_loss 0.02: has 0.1 worse than the best"]


def test_of_an_error_the_lower_is_better() -> None:
    budget = BudgetParams(max_mb=10.0, max_ms=50.0, max_loss=0.02, worst_quality=0.5)
    rows = [row("best", 0.10, 40, 9), row("near", 0.11, 20, 9), row("far", 0.60, 5, 1)]
    chosen = gate.choose(rows, budget, "lower")
    assert chosen is not None and chosen["variant"] == "near"
    assert rows[2]["misses"] == ["max_loss 0.02: has 0.5 worse than the best", "worst_quality 0.5: has 0.6 quality"]
    candidates.mark_front(rows, "lower")
    assert [r["variant"] for r in rows if r["front"]] == ["best", "near", "far"]
    worse_and_slower = [*rows, row("beaten", 0.12, 41, 9)]
    candidates.mark_front(worse_and_slower, "lower")
    assert not worse_and_slower[-1]["front"]
    assert pareto.front(worse_and_slower, "lower") == [(5, 0.6), (20, 0.11), (40, 0.1)]


def test_of_equally_fast_ones_the_smallest_is_chosen() -> None:
    chosen = gate.choose([row("a", 0.9, 10, 9), row("b", 0.9, 10, 2)], BUDGET, "higher")
    assert chosen is not None
    assert chosen["variant"] == "b"


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
    assert gate.choose([candidate], BUDGET, "higher") is None
    assert candidate["misses"] == misses


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-cmd", "--5", "-1-1", "@sum", "\tx", "\rx"])
def test_a_formula_becomes_text(cell: str) -> None:
    """docs/faults.md 33."""
    assert tables.plain(cell) == "'" + cell
    assert "'=HYPERLINK" in tables.comma_separated([row("=HYPERLINK(1)", 0.5, 1, 1)])


@pytest.mark.parametrize("cell", ["base", "0.5", "-0.5", "-1e-05", "+3", ""])
def test_numbers_and_words_stay(cell: str) -> None:
    assert tables.plain(cell) == cell
