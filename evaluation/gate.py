"""The choice: of the candidates that keep every limit of `compare.budget`, the fastest; of equals the smallest.

The reference is the first candidate: `base` in the first of `precisions`. Quality is that of the validation split: a
figure of the test split that chose a model would no longer be a test. `max_loss` is the margin of a paired test against
the reference (`inferiority`), `worst_quality` is absolute; both look the way in which the task's metric is better.
Two candidates are equally fast when the interval of the ratio of their times has 1 in it, or they are within 3 %
(`timing.Ratio.differs`), here or on the device that the budget names; so a difference that is none moves no model, and
among equals the reference comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.better import Better
from core.better import loss as worse_by
from evaluation import judged
from evaluation.timing import Ratio

BUDGET = "compare.budget"
SHOWN = 2
"""Candidates that a sentence names."""
Faster = Callable[[dict[str, Any], dict[str, Any]], Ratio]
"""Two rows -> how many times as fast as the first the second is."""


def misses(row: dict[str, Any], reference: str, budget: Any, better: Better) -> list[str]:
    """The limits that a candidate does not keep, each with its figure; empty when it may ship.

    reference: the name of the candidate that losses are counted from.
    """
    below = worse_by(row["quality"], budget.worst_quality, better) > 0
    limits = (
        ("max_mb", row["size_mb"], "MB", row["size_mb"] > budget.max_mb, budget.max_mb),
        ("max_ms", at_most := judged.at_most_ms(row), judged.unit(row), at_most > budget.max_ms, budget.max_ms),
        ("worst_quality", row["quality"], "quality", below, budget.worst_quality),
    )
    found = [f"{name} {limit:g}: has {found:.6g} {unit}" for name, found, unit, missed, limit in limits if missed]
    seen, bound = row["loss"]["value"], row["loss"]["bound"]
    if name(row) != reference and bound > budget.max_loss:
        told = f"is {seen:.3g} worse" if seen > 0 else f"is {-seen:.3g} better" if seen < 0 else "is as good"
        found.append(f"max_loss {budget.max_loss:g}: {told} than {reference}, and up to {bound:.3g} worse is possible")
    return found


def name(row: Mapping[str, Any]) -> str:
    return f"{row['variant']} {row['precision']}"


def choose(rows: Sequence[dict[str, Any]], budget: Any, better: Better, faster: Faster) -> dict[str, Any] | None:
    """The chosen row, None when no candidate keeps all limits. Sets `misses` of every row."""
    for row in rows:
        row["misses"] = misses(row, name(rows[0]), budget, better)
    within = [row for row in rows if not row["misses"]]
    if not within:
        return None
    fastest = max(within, key=lambda row: float(judged.speed(row)["value"]))
    return min((row for row in within if not faster(row, fastest).differs), key=lambda row: row["size_mb"])


def verdict(chosen: dict[str, Any] | None, rows: Sequence[dict[str, Any]], faster: Faster) -> dict[str, Any]:
    """`passed`, and in words `why`: what `package` and the report say of the gate."""
    if chosen is None:
        return {"passed": False, "why": f"none of {len(rows)} candidates keeps every limit of {BUDGET}"}
    within = [row for row in rows if not row["misses"]]
    equal = [row for row in within if row is not chosen and _no_better(row, chosen, faster)]
    if len(within) == 1:
        return {
            "passed": True,
            "why": f"it alone, of {len(rows)} candidates, keeps every limit of {BUDGET}",
        }
    why = f"of the {len(within)} candidates, out of {len(rows)}, that keep every limit of {BUDGET} none is faster"
    if equal:
        told = [*map(name, equal[:SHOWN]), *([f"{len(equal) - SHOWN} more"] if len(equal) > SHOWN else [])]
        why += f"; {' and '.join(told)} {'is' if len(equal) == 1 else 'are'} as fast and no smaller"
    return {"passed": True, "why": why}


def words(row: dict[str, Any], chosen: dict[str, Any] | None, faster: Faster) -> str:
    """What became of a candidate, for its line in the report."""
    if row["misses"] or chosen is None:
        return "; ".join(row["misses"])
    if row is chosen:
        return "ships"
    if _no_better(row, chosen, faster):
        return "as fast, and no smaller"
    return f"{faster(chosen, row).value:.2f} times as fast as {name(chosen)}"


def _no_better(row: dict[str, Any], chosen: dict[str, Any], faster: Faster) -> bool:
    """As fast as what ships, and no smaller. One that is smaller is slower than the fastest, if not than what ships."""
    return not faster(chosen, row).differs and row["size_mb"] >= chosen["size_mb"]
