"""What a finished pipeline prints: one table of all candidates, the choice, and where to look next."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from core import better, paths
from core.files import read_json


def table(tasks: Iterable[str]) -> Table:
    """Task and metric, model, quality on test with its 95 % interval, latency, size; the chosen candidate is marked."""
    # Narrow: the table is to fit into 80 columns.
    grid = Table(header_style="bold", pad_edge=False, collapse_padding=True, box=box.SIMPLE_HEAD)
    names = (("task", "left"), ("model", "left"), ("quality on test", "left"), ("ms", "right"), ("MB", "right"))
    for name, side in names:
        grid.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    grid.add_column("", no_wrap=True)
    for task in tasks:
        path = paths.report(task) / "comparison.json"
        if not path.exists():
            continue
        comparison = read_json(path)
        headings = (
            Text(task),
            Text(comparison["title"], style="dim"),
            *([Text(better.words(comparison["better"]), style="dim")] if better.words(comparison["better"]) else []),
        )
        for heading, row in zip_longest(headings, comparison["rows"]):
            chosen = row is not None and _chosen(row, comparison)
            cells = (*_cells(row), "chosen" if chosen else "") if row else ()
            grid.add_row(heading, *cells, style="bold" if chosen else "")
        grid.add_section()
    return grid


def _cells(row: dict[str, Any]) -> list[str]:
    """Three decimals for metrics up to 1, one for percentages."""
    digits = 3 if row["test_interval"][1] <= 1 else 1
    quality, low, high = (f"{value:.{digits}f}" for value in (row["test"], *row["test_interval"]))
    return [
        f"{row['variant']} {row['precision']}",
        f"{quality} ({low} to {high})",
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
