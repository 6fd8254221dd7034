"""`docs/addition.md`: how many sums each variant needed, beside what the notes say of it."""

from __future__ import annotations

import json
from statistics import median

from benchmarks.addition.sweep import ITERATIONS, MEASURED, SEEDS, VARIANTS, WINDOW
from benchmarks.clones import ROOT

PAGE = ROOT / "docs" / "addition.md"
HEADING = f"""\
# Binary addition, as the lecture notes learn it

Made by `python -m benchmarks.addition table` from what `python -m benchmarks.addition run` has measured; do not edit
it.

A recurrent network of 16 hidden units, without biases, adds two numbers of 7 bits, bit by bit from the lowest; each
sum is an update (`benchmarks/addition/sweep.py`). A seed has learnt once 99 % of the last {WINDOW} sums had all 8 bits
right; it is given {ITERATIONS:,} sums, and there are {SEEDS} seeds. Each variant differs from the first one in what its
name says.
The preset `addition` learns the same sums as a task of this pipeline, in batches.

| variant | the notes: sums until all are right | seeds that learnt | sums, median | least | most | within 4,000 |
|---|---|---|---|---|---|---|
"""
ERRATA = """
## Errata of the notes

1. **tanh and ReLU.** Where the notes change the hidden function to tanh or ReLU, their code goes on multiplying the
   gradient by the sigmoid's derivative, and their text finds that these functions do not learn. The table has both: the
   notes' code, and the function's own derivative, with which tanh on Xavier's weights is the quickest of all.
"""


def page() -> str:
    """The whole document; without figures it says so."""
    if not MEASURED.exists():
        return HEADING.rpartition("\n\n|")[0] + "\n\nNot measured yet.\n" + ERRATA
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    rows = [f"| {' | '.join(_cells(variant, found['sums'][variant.name]))} |" for variant in VARIANTS]
    return HEADING + "\n".join(rows) + f"\n\nMeasured on {found['machine']}.\n" + ERRATA


def _cells(variant: object, sums: list[int | None]) -> list[str]:
    learnt = sorted(each for each in sums if each is not None)
    figures = [f"{each:,.0f}" for each in (median(learnt), learnt[0], learnt[-1])] if learnt else ["-"] * 3
    soon = sum(each <= 4000 for each in learnt)
    return [*variant[:2], f"{len(learnt)} of {len(sums)}", *figures, f"{soon} of {len(sums)}"]  # type: ignore[index]
