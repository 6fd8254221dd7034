"""Role `show` of series: histories with what followed and what was forecast, as PNG; errors by step of the horizon."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from modalities.series.inputs.histories import item


def show(inputs: Iterable[Any], predictions: Iterable[Any], references: Iterable[Any], folder: Path) -> None:
    """One PNG for each window: its targets' past, quantiles and true values; or true and likeliest labels."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, (source, prediction, reference) in enumerate(zip(inputs, predictions, references, strict=True)):
        figure, axes = _figure()
        before = np.arange(-len(seen := item(source)), 0)
        if "quantiles" in prediction:
            told, true = np.array(prediction["quantiles"]), np.asarray(reference["future"])
            after = np.arange(len(true))
            for v in range(true.shape[1]):
                colour = f"C{v}"
                axes.plot(before, reference["past"][:, v], color=colour, alpha=0.6)
                axes.plot(after, true[:, v], color=colour, linestyle=":")
                axes.plot(after, told[:, v], color=colour, linewidth=1)
                axes.fill_between(after, told[:, v].min(1), told[:, v].max(1), color=colour, alpha=0.2, linewidth=0)
            axes.set_title(f"{reference['name'] or 'series'}: seen, forecast, and dotted what came", fontsize=9)
        else:
            axes.plot(before, seen, alpha=0.3)
            steps = before[-len(reference["labels"]) :]
            axes.step(steps, reference["labels"], "k:", where="mid", label="true")
            axes.step(steps, np.array(prediction["probabilities"]).argmax(-1), "C3", where="mid", label="likeliest")
            axes.legend(frameon=False)
        figure.savefig(folder / f"sample_{i:02d}.png", dpi=90, metadata={"Software": None})


def plots(scores: dict[str, Any], folder: Path) -> None:
    """The error by step of the horizon, or by class."""
    rows = [row for row in scores["tables"]["parts"] if row["kind"] != "part"]
    figure, axes = _figure()
    axes.bar([row["name"] for row in rows], [row["value"] for row in rows])
    axes.set_xlabel(rows[0]["kind"] if rows else "")
    figure.savefig(folder / "parts.png", dpi=90, metadata={"Software": None})


def _figure() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()
