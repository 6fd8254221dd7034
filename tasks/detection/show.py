"""Role `show` of detection: pictures with boxes, and plots of a score's tables.

Writes into the given folder: `sample_00.png`, ... (predictions solid with class and score, references dashed and
white), and `precision_recall.png`, `classes.png`, `confusion.png`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from modalities.images.inputs.decode import decode
from modalities.images.show.drawing import (
    COLOURS,
    LIGHT,
    LINE,
    confusion,
    enlarged,
    figure,
    font,
    framed,
    ink,
    png,
    save,
)

SHOWN_SCORE = 0.4
"""Weaker boxes are left out of the pictures, not out of the score."""


def show(inputs: Iterable[Any], predictions: Iterable[Any], references: Iterable[Any], folder: Path) -> None:
    """One PNG for each image (a path, bytes or an array), see the module."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, (source, boxes, reference) in enumerate(zip(inputs, predictions, references, strict=True)):
        pixels = source if isinstance(source, np.ndarray) else decode(source)
        png(picture(pixels, boxes, reference), folder / f"sample_{i:02d}.png")


def picture(pixels: Any, boxes: Sequence[Any], reference: Any) -> Image.Image:
    """Image (height, width, 3), enlarged to be read with ease, its boxes and a line that says what they are."""
    image, zoom = enlarged(pixels)
    (canvas, draw), writing = framed(image), font(15)
    for corners in reference["boxes"]:
        _dashed(draw, [float(value) * zoom for value in corners])
    names = {entry["id"]: i for i, entry in enumerate(reference["categories"])}
    shown = [box for box in boxes if box["score"] >= SHOWN_SCORE]
    for box in sorted(shown, key=lambda entry: entry["score"]):
        colour = COLOURS[names.get(box["category_id"], 0) % len(COLOURS)]
        corners = [float(value) * zoom for value in box["box"]]
        draw.rectangle(corners, outline=colour, width=3)
        _label(draw, corners, f"{box['label']} {box['score']:.2f}", colour, writing)
    text = f"{len(shown)} found (score from {SHOWN_SCORE})   ·   {len(reference['boxes'])} in the reference (dashed)"
    draw.text((10, image.height + LINE / 2), text, LIGHT, writing, anchor="lm")
    return canvas


def plots(scores: dict[str, Any], folder: Path) -> None:
    """Precision-recall curves, average precision of each class, confusion matrix."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = scores["tables"]
    _precision_recall(tables["precision_recall"], tables["classes"], folder / "precision_recall.png")
    _classes(tables["classes"], folder / "classes.png")
    _confusion(tables["confusion"], folder / "confusion.png")


def _dashed(draw: ImageDraw.ImageDraw, box: Sequence[float], dash: float = 7.0) -> None:
    x1, y1, x2, y2 = box
    for start, end in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
        length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
        for at in np.arange(0, length, 2 * dash):
            shares = (at / length, min(at + dash, length) / length)
            points = [tuple(a + (b - a) * share for a, b in zip(start, end, strict=True)) for share in shares]
            draw.line([xy for point in points for xy in point], fill="#000000", width=4)
            draw.line([xy for point in points for xy in point], fill="#ffffff", width=2)


def _label(draw: ImageDraw.ImageDraw, box: Sequence[float], text: str, colour: str, writing: Any) -> None:
    """A chip above the box, or inside it where the picture ends; dark or white writing, whichever is read better."""
    left, top, right, bottom = draw.textbbox((0, 0), text, writing)
    width, height = right - left + 8, bottom - top + 6
    x, y = box[0] - 1, box[1] - height if box[1] >= height else box[1]
    draw.rectangle([x, y, x + width, y + height], fill=colour)
    draw.text((x + 4 - left, y + 3 - top), text, ink(colour), writing)


def _precision_recall(table: dict[str, Any], classes: Sequence[Any], path: Path) -> None:
    made, axes = figure(6.4, 4.8)
    for i, row in enumerate(classes):
        colour = COLOURS[i % len(COLOURS)]
        label = f"{row['class']}  AP50 {row['map50']:.3f}"
        axes.plot(table["recall"], table["precision"][row["class"]], color=colour, linewidth=2, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision", title="Precision and recall, IoU ≥ 0.5")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower left", frameon=False)
    save(made, path)


def _classes(rows: Sequence[Any], path: Path) -> None:
    made, axes = figure(6.4, 1.2 + 0.55 * len(rows))
    places = np.arange(len(rows))
    for offset, (name, label, alpha) in enumerate((("map50", "AP50", 0.35), ("map", "AP50:95", 1.0))):
        at = places + (0.2 if offset == 0 else -0.2)
        colours = [COLOURS[i % len(COLOURS)] for i in range(len(rows))]
        bars = axes.barh(at, [row[name] for row in rows], 0.38, color=colours, alpha=alpha, label=label)
        axes.bar_label(bars, [f"{label} {row[name]:.3f}" for row in rows], padding=4, fontsize=8)
    axes.set_yticks(places, [f"{row['class']} ({row['boxes']} boxes)" for row in rows])
    axes.set(xlim=(0, 1.15), title="Average precision by class")
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    axes.invert_yaxis()
    save(made, path)


def _confusion(table: dict[str, Any], path: Path) -> None:
    labels = {"xlabel": "found as", "ylabel": "in the reference", "title": "Confusion, score ≥ 0.3, IoU ≥ 0.5"}
    confusion(table["names"], np.array(table["counts"]), path, labels)
