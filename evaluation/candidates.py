"""The rows of the comparison: one for each evaluated model folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.better import Better, sign
from core.files import read_json


def read(folder: Path, checkpoint: Path, variant: str, precision: str) -> dict[str, Any]:
    """One row from an evaluation folder and the variant's checkpoint.

    Keys: `variant`, `precision`, `quality` (the main metric on `val`, by which candidates are compared) and its 95 %
    `interval`, `test` (the main metric on `test`) and `test_interval`, `metrics` (all of `test`), `size_mb`,
    `latency_ms` and `p99_ms` (batch 1), `per_second` (batch 8), `memory_mb`, and the variant's `parameters` and `macs`
    (multiply-adds an input, as it was trained).
    """
    counts = read_json(checkpoint / "result.json")
    scores, timing = read_json(folder / "metrics.json"), read_json(folder / "latency.json")
    return {
        "variant": variant,
        "precision": precision,
        "quality": scores["val"]["metrics"][scores["main"]],
        "interval": scores["val"]["intervals"][scores["main"]],
        "test": scores["metrics"][scores["main"]],
        "test_interval": scores["intervals"][scores["main"]],
        "metrics": scores["metrics"],
        "size_mb": scores["size_mb"],
        "latency_ms": timing["batch_1"]["median_ms"],
        "p99_ms": timing["batch_1"]["p99_ms"],
        "per_second": timing["batch_8"]["per_second"],
        "memory_mb": timing["memory_mb"],
        "parameters": counts["parameters"],
        "macs": counts["macs"],
    }


def mark_front(rows: Iterable[dict[str, Any]], better: Better) -> None:
    """Set `front` of each row: whether no other is at least as good in quality, latency and size and better in one."""
    rows = list(rows)
    for row in rows:
        row["front"] = not any(_dominates(other, row, better) for other in rows if other is not row)


def _dominates(one: dict[str, Any], other: dict[str, Any], better: Better) -> bool:
    ours, theirs = ((-sign(better) * row["quality"], row["latency_ms"], row["size_mb"]) for row in (one, other))
    return all(a <= b for a, b in zip(ours, theirs, strict=True)) and ours != theirs
