"""The comparison as Markdown and CSV; a cell that a spreadsheet would run as a formula is made text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

HEADER = (
    *("variant", "precision", "val", "val low", "val high", "test", "test low", "test high"),
    *(
        "loss",
        "loss up to",
        "MB",
        "ms",
        "p99 ms",
        "speed",
        "speed low",
        "speed high",
        "speed (batch 8)",
        "1/s (batch 8)",
    ),
    *("ms (all cores)", "memory MB", "parameters", "multiply-adds", "front"),
)
ON_DEVICE = ("device", "how", *("device ms", "device ms low", "device ms high"), *("device speed", "low", "high"))


def cells(row: dict[str, Any]) -> list[str]:
    """One row as text, in the order of `header`."""
    return [
        *_cells(row),
        *(on_device(row["device"]) if row.get("device") else []),
    ]


def on_device(found: dict[str, Any]) -> list[str]:
    """In the order of `ON_DEVICE`."""
    speed = (found["speed"][each] for each in ("value", "low", "high"))
    return [
        found["name"],
        found["how"],
        *(f"{value:.4g}" for value in (found["ms"], found["low"], found["high"], *speed)),
    ]


def header(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return (*HEADER, *(ON_DEVICE if any(row.get("device") for row in rows) else ()))


def _cells(row: dict[str, Any]) -> list[str]:
    numbers = (row["quality"], *row["interval"], row["test"], *row["test_interval"], *row["loss"].values())
    speed, cores = row["speed"], row["all_cores_ms"]
    return [
        row["variant"],
        row["precision"],
        *(f"{value:.4g}" for value in numbers),
        f"{row['size_mb']:.2f}",
        f"{row['latency_ms']:.1f}",
        f"{row['p99_ms']:.1f}",
        *(f"{value:.3f}" for value in (speed["value"], speed["low"], speed["high"], row["speed_8"]["value"])),
        f"{row['per_second']:.1f}",
        "" if cores is None else f"{cores:.1f}",
        f"{row['memory_mb']:.0f}",
        short(row["parameters"]),
        short(row["macs"]),
        "yes" if row["front"] else "",
    ]


def short(count: int) -> str:
    """Three digits with K, M or G: 4.65 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " K")):
        if count >= 0.9995 * size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    names = header(rows)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join([*lines, *("| " + " | ".join(cells(row)) + " |" for row in rows)]) + "\n"


def comma_separated(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header(rows))
    writer.writerows([plain(cell) for cell in cells(row)] for row in rows)
    return text.getvalue()


def plain(cell: str) -> str:
    """A leading =, +, -, @, tab or carriage return gets an apostrophe, as OWASP advises against CSV injection."""
    number = re.fullmatch(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", cell)
    return cell if number or not cell.startswith(("=", "+", "-", "@", "\t", "\r")) else "'" + cell
