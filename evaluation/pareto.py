"""One picture of all candidates: quality on `val` over latency, the area of a point is the size of the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.better import Better, loss, sign, words
from evaluation import judged

COLOURS = ("#4878a8", "#e49444", "#6a9f58", "#a87c9f", "#d1615d", "#85b6b2", "#967662")
MARKERS = {"fp32": "o", "int8": "s", "fp16": "^"}
RING = "#222222"
AREA = 900.0
"""Points squared of the largest model."""


def picture(
    rows: Sequence[dict[str, Any]], metric: str, better: Better, chosen: Sequence[str] | None, path: Path
) -> None:
    """Write a PNG: intervals as bars, the front as a line, the choice ringed. Latency has a logarithmic axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    largest = max(row["size_mb"] for row in rows)
    for row in rows:
        colour = COLOURS[variants.index(row["variant"]) % len(COLOURS)]
        x, y, (low, high) = judged.ms(row), row["quality"], row["interval"]
        axes.vlines(x, low, high, color=colour, alpha=0.35, linewidth=2)
        area = max(30.0, AREA * row["size_mb"] / largest)
        marker = MARKERS.get(row["precision"], "D")
        axes.scatter(x, y, s=area, color=colour, marker=marker, alpha=0.85, edgecolor="white", zorder=3)
        if [row["variant"], row["precision"]] == list(chosen or []):
            axes.scatter(x, y, s=area + 260, facecolor="none", edgecolor=RING, linewidth=1.8, zorder=4)
    line = front(rows, better)
    axes.plot(*zip(*line, strict=True), color="#555555", linestyle=":", linewidth=1.2, zorder=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.12)
    where = f" on {rows[0]['device']['name']}" if rows[0].get("device") else ""
    axes.set_xlabel(f"median latency at batch 1{where}, ms (log)")
    told = f" ({words(better)})" if words(better) else ""
    axes.set_ylabel(f"{metric}{told} on the validation split, 95 % interval")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    _legend(axes, variants, sorted({row["precision"] for row in rows}))
    figure.savefig(path, dpi=120, metadata={"Software": None})


def front(rows: Sequence[dict[str, Any]], better: Better) -> list[tuple[float, float]]:
    """(latency, quality) of the candidates that are better than every faster one, the fastest first."""
    line: list[tuple[float, float]] = []
    for row in sorted(rows, key=lambda row: (judged.ms(row), -sign(better) * row["quality"])):
        if not line or loss(row["quality"], line[-1][1], better) < 0:
            line.append((judged.ms(row), row["quality"]))
    return line


def _legend(axes: Any, variants: Sequence[str], precisions: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", color=COLOURS[i % len(COLOURS)], label=name)
        for i, name in enumerate(variants)
    ]
    handles += [
        Line2D([], [], marker=MARKERS.get(name, "D"), linestyle="", color="#777777", label=name) for name in precisions
    ]
    handles.append(Line2D([], [], linestyle=":", color="#555555", label="best at this speed"))
    handles.append(
        Line2D([], [], marker="o", linestyle="", markersize=11, markerfacecolor="none", color=RING, label="chosen")
    )
    axes.legend(handles=handles, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), title="area: size")
