"""The rows of the comparison: one for each evaluated model folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.better import Better, sign
from core.files import read_json
from evaluation import inferiority, judged
from evaluation.inferiority import Resamples


def read(folder: Path, checkpoint: Path, timed: dict[str, Any], variant: str, precision: str) -> dict[str, Any]:
    """One row from an evaluation folder, the variant's checkpoint, and what `timing.json` has of the candidate.

    Keys: `variant`, `precision`, `quality` (the main metric on `val`, by which candidates are compared) and its 95 %
    `interval`, `test` (the main metric on `test`) and `test_interval`, `metrics` (all of `test`), `size_mb`,
    `latency_ms` and `p99_ms` (batch 1, one thread), `per_second` (batch 8, one thread), `all_cores_ms` (batch 1; None
    where there is one core), `speed`, `speed_8` and `speed_all_cores` (how many times as fast as the reference:
    `timing.Ratio`), `memory_mb`, `operators` (`operators.Cost` of one call, by operator), and the variant's
    `parameters`, `macs` (multiply-adds an input, as it was trained) and `zeros` (share of its parameters that pruning
    has made zero).
    """
    counts = read_json(checkpoint / "result.json")
    scores, cores = read_json(folder / "metrics.json"), timed.get("batch_1_all_cores")
    return {
        "variant": variant,
        "precision": precision,
        "quality": scores["val"]["metrics"][scores["main"]],
        "interval": scores["val"]["intervals"][scores["main"]],
        "test": scores["metrics"][scores["main"]],
        "test_interval": scores["intervals"][scores["main"]],
        "metrics": scores["metrics"],
        "size_mb": scores["size_mb"],
        "latency_ms": timed["batch_1"]["median_ms"],
        "p99_ms": timed["batch_1"]["p99_ms"],
        "per_second": timed["batch_8"]["per_second"],
        "all_cores_ms": cores and cores["median_ms"],
        "speed": timed["batch_1"]["speed"],
        "speed_8": timed["batch_8"]["speed"],
        "speed_all_cores": cores and cores["speed"],
        "memory_mb": timed["memory_mb"],
        "operators": timed["operators"],
        "parameters": counts["parameters"],
        "macs": counts["macs"],
        "zeros": counts.get("zeros", 0) / counts["parameters"],
    }


def mark_losses(rows: Sequence[dict[str, Any]], drawn: Sequence[Resamples], better: Better) -> None:
    """Set `loss` of each row, of quality against the first one: its `value`, and the `bound` that `val` leaves open.

    drawn: `resamples.json` of each row.
    """
    first = rows[0]
    for row, own in zip(rows, drawn, strict=True):
        found = inferiority.loss(row["quality"], first["quality"], own, drawn[0], better, len(rows) - 1)
        row["loss"] = asdict(found)


def mark_front(rows: Iterable[dict[str, Any]], better: Better) -> None:
    """Set `front` of each row: whether no other is at least as good in quality, latency and size and better in one."""
    rows = list(rows)
    for row in rows:
        row["front"] = not any(_dominates(other, row, better) for other in rows if other is not row)


def _dominates(one: dict[str, Any], other: dict[str, Any], better: Better) -> bool:
    ours, theirs = ((-sign(better) * row["quality"], judged.ms(row), row["size_mb"]) for row in (one, other))
    return all(a <= b for a, b in zip(ours, theirs, strict=True)) and ours != theirs
