"""Plots of the tables of `modalities.images.score.labels`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modalities.images.show.drawing import COLOURS, confusion, figure, save

MOST = 20
"""Classes of which each gets a bar, or a row of the confusion matrix; of more the worst are shown."""


def plots(tables: dict[str, Any], ece: float, folder: Path) -> None:
    """`confusion.png` where each image has one label, `reliability.png`, `classes.png`. ece: the calibration error."""
    folder.mkdir(parents=True, exist_ok=True)
    if tables["confusion"]:
        confused(tables["confusion"], folder / "confusion.png")
    reliability(tables["reliability"], ece, folder / "reliability.png")
    classes(tables["classes"], folder / "classes.png")


def confused(table: dict[str, Any], path: Path) -> None:
    """Of many classes, those that are confused most often."""
    counts = np.array(table["counts"])
    wrong = (counts + counts.T).sum(1) - 2 * counts.diagonal()
    kept = np.sort(np.argsort(-wrong, kind="stable")[:MOST])
    title = "Confusion" if len(kept) == len(counts) else f"Confusion, {MOST} of {len(counts)} classes"
    labels = {"xlabel": "predicted", "ylabel": "in the reference", "title": title}
    confusion([table["names"][i] for i in kept], counts[np.ix_(kept, kept)], path, labels)


def reliability(table: dict[str, Any], ece: float, path: Path) -> None:
    """Accuracy of what is predicted with so much confidence, beside what it should be (Guo et al. 2017, figure 1)."""
    count, accuracy = np.array(table["count"]), np.array(table["accuracy"])
    edges = np.linspace(0, 1, len(count) + 1)
    made, axes = figure(5.6, 5.2)
    width = edges[1] - edges[0]
    shares = count / max(1, count.sum())
    axes.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1, label="perfectly calibrated")
    seen = count > 0
    axes.bar(
        edges[:-1][seen], accuracy[seen], width * 0.92, align="edge", color=COLOURS[6], alpha=0.85, label="accuracy"
    )
    axes.bar(edges[:-1], shares, width * 0.4, align="edge", color=COLOURS[7], label="share of the predictions")
    axes.set(
        xlim=(0, 1), ylim=(0, 1.02), xlabel="probability", title=f"Reliability, expected calibration error {ece:.3f}"
    )
    axes.grid(alpha=0.25)
    axes.legend(loc="upper left", frameon=False)
    save(made, path)


def classes(rows: Sequence[Any], path: Path) -> None:
    """F1 of each, or of the worst."""
    kept = rows if len(rows) <= MOST else sorted(rows, key=lambda row: row["f1"])[:MOST]
    made, axes = figure(6.4, 1.2 + 0.36 * len(kept))
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(kept))]
    bars = axes.barh(range(len(kept)), [row["f1"] for row in kept], 0.7, color=colours)
    axes.bar_label(bars, [f"{row['f1']:.3f}" for row in kept], padding=4, fontsize=8)
    axes.set_yticks(range(len(kept)), [f"{row['class']} ({row['support']})" for row in kept])
    axes.set(xlim=(0, 1.12), title="F1 by class" + ("" if len(kept) == len(rows) else f", the {MOST} worst"))
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    axes.invert_yaxis()
    save(made, path)
