"""The choice: of the candidates that keep every limit of `compare.budget`, the fastest; of equals the smallest.

Quality is that of the validation split: a figure of the test split that chose a model would no longer be a test.
`max_loss` is counted from the best quality among all candidates, `worst_quality` is absolute; both look the way in
which the task's metric is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.better import Better, best, loss


def misses(row: dict[str, Any], reference: float, budget: Any, better: Better) -> list[str]:
    """The limits that a candidate does not keep, each with its figure; empty when it may ship."""
    lost, below = loss(row["quality"], reference, better), loss(row["quality"], budget.worst_quality, better) > 0
    limits = (
        ("max_mb", row["size_mb"], "MB", row["size_mb"] > budget.max_mb, budget.max_mb),
        ("max_ms", row["latency_ms"], "ms", row["latency_ms"] > budget.max_ms, budget.max_ms),
        ("max_loss", lost, "worse than the best", lost > budget.max_loss, budget.max_loss),
        ("worst_quality", row["quality"], "quality", below, budget.worst_quality),
    )
    return [f"{name} {limit:g}: has {found:.6g} {unit}" for name, found, unit, missed, limit in limits if missed]


def choose(rows: Sequence[dict[str, Any]], budget: Any, better: Better) -> dict[str, Any] | None:
    """The chosen row, None when no candidate keeps all limits. Sets `misses` of every row."""
    highest = best([row["quality"] for row in rows], better)
    for row in rows:
        row["misses"] = misses(row, highest, budget, better)
    within = [row for row in rows if not row["misses"]]
    return min(within, key=lambda row: (row["latency_ms"], row["size_mb"]), default=None)


def verdict(chosen: dict[str, Any] | None, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`passed`, and in words `why`: what `package` and the report say of the gate."""
    if chosen is None:
        return {"passed": False, "why": f"none of {len(rows)} candidates keeps every limit of compare.budget"}
    within = sum(not row["misses"] for row in rows)
    return {
        "passed": True,
        "why": f"{chosen['variant']} {chosen['precision']} is the fastest of {within} candidates, out of {len(rows)}, "
        "that keep every limit of compare.budget",
    }
