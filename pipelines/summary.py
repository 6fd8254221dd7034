"""What a finished pipeline prints: one table of all candidates, the choice, and where to look next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from core import paths
from core.files import read_json


def table(tasks: Iterable[str]) -> Table:
    """Task, variant, quality with its 95 % interval, latency, size; the chosen candidate is marked."""
    grid = Table(title=None, header_style="bold", pad_edge=False)
    for name, side in (
        ("task", "left"),
        ("model", "left"),
        ("quality (95 %)", "left"),
        ("ms", "right"),
        ("MB", "right"),
    ):
        grid.add_column(name, justify=side)  # type: ignore[arg-type]
    grid.add_column("")
    for task in tasks:
        path = paths.report(task) / "comparison.json"
        if not path.exists():
            continue
        comparison = read_json(path)
        for row in comparison["rows"]:
            grid.add_row(task, *_cells(row, comparison), style="bold" if _chosen(row, comparison) else "")
        grid.add_section()
    return grid


def _cells(row: dict[str, Any], comparison: dict[str, Any]) -> list[str]:
    low, high = row["interval"]
    name = f"{row['variant']} {row['precision']}"
    quality = f"{comparison['metric']} {row['quality']:.3g} [{low:.3g}, {high:.3g}]"
    return [
        name,
        quality,
        f"{row['latency_ms']:.1f}",
        f"{row['size_mb']:.2f}",
        "chosen" if _chosen(row, comparison) else "",
    ]


def _chosen(row: dict[str, Any], comparison: dict[str, Any]) -> bool:
    return [row["variant"], row["precision"]] == comparison["chosen"]


def show(tasks: Iterable[str], console: Console | None = None) -> None:
    console = console or Console()
    tasks = list(tasks)
    console.print(table(tasks))
    for task in tasks:
        if (report := paths.report(task) / "report.html").exists():
            console.print(f"report: {report}    package: {paths.package(task)}/", highlight=False)
    console.print("runs:   make ui", highlight=False)
