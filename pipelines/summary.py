"""What a finished pipeline prints: one table of all candidates, the choice, and where to look next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from core import paths
from core.files import read_json


def table(tasks: Iterable[str]) -> Table:
    """Task, model, quality on test with its 95 % interval, latency and size; the chosen candidate is marked."""
    grid = Table(header_style="bold", pad_edge=False, box=box.SIMPLE_HEAD)  # fits into 80 columns
    for name, side in (("task", "left"), ("model", "left"), ("quality", "left"), ("ms", "right"), ("MB", "right")):
        grid.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    grid.add_column("", no_wrap=True)
    for task in tasks:
        path = paths.report(task) / "comparison.json"
        if not path.exists():
            continue
        comparison = read_json(path)
        for row in comparison["rows"]:
            chosen = _chosen(row, comparison)
            grid.add_row(
                task, *_cells(row, comparison["metric"]), "chosen" if chosen else "", style="bold" if chosen else ""
            )
        grid.add_section()
    return grid


def _cells(row: dict[str, Any], metric: str) -> list[str]:
    """Three decimals for metrics up to 1, one for percentages."""
    digits = 3 if row["test_interval"][1] <= 1 else 1
    quality, low, high = (f"{value:.{digits}f}" for value in (row["test"], *row["test_interval"]))
    return [
        f"{row['variant']} {row['precision']}",
        f"{metric} {quality} ({low} to {high})",
        f"{row['latency_ms']:.1f}",
        f"{row['size_mb']:.2f}",
    ]


def _chosen(row: dict[str, Any], comparison: dict[str, Any]) -> bool:
    return [row["variant"], row["precision"]] == comparison["chosen"]


def show(tasks: Iterable[str], console: Console | None = None) -> None:
    console = console or Console()
    tasks = list(tasks)
    grid = table(tasks)
    if grid.row_count:
        console.print(grid)
    for task in tasks:
        if (report := paths.report(task) / "report.html").exists():
            console.print(f"report: {report}    package: {paths.package(task)}/", highlight=False)
    console.print("runs:   make ui", highlight=False)
