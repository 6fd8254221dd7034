"""Role `show` of tasks on sound: a picture of each example, with both texts, and plots."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from modalities.audio.inputs.decode import decode
from modalities.audio.inputs.pictures import PAPER, panel

SIZE, LINE, MOST = (640, 240), 28, 30
"""Pixels of a panel, height of a line of text, seconds that are shown."""
LIGHT, RIGHT, WRONG = "#e8e8e8", "#76b041", "#e4572e"
RATE = 16_000


def show(inputs: Iterable[Any], predictions: Iterable[Any], references: Iterable[Any], folder: Path) -> None:
    """One PNG for each recording: waveform, spectrum, symbols where they began, and both texts."""
    folder.mkdir(parents=True, exist_ok=True)
    font = ImageFont.load_default(15)
    for i, (source, one, reference) in enumerate(zip(inputs, predictions, references, strict=True)):
        samples = decode(source, RATE, 3600.0).samples[: MOST * RATE]
        canvas = Image.new("RGB", (SIZE[0], SIZE[1] + 3 * LINE), PAPER)
        canvas.paste(panel(samples, RATE, SIZE), (0, 0))
        draw = ImageDraw.Draw(canvas)
        for symbol in one.get("symbols", []):
            x = symbol["start"] * RATE / len(samples) * SIZE[0]
            draw.text((x, SIZE[1] + LINE / 2), symbol["symbol"], LIGHT, font, anchor="lm")
        right = RIGHT if one["text"] == reference["text"] else WRONG
        for row, (what, text, colour) in enumerate(
            (("in the reference", reference["text"], LIGHT), ("heard", one["text"], right)), 1
        ):
            draw.text((8, SIZE[1] + (row + 0.5) * LINE), f"{what}: {text[:70]}", colour, font, anchor="lm")
        canvas.save(folder / f"sample_{i:02d}.png", compress_level=1)


def plots(scores: dict[str, Any], folder: Path) -> None:
    """`confusion.png` of classes, and `speakers.png`: how much is wrong of what each says."""
    folder.mkdir(parents=True, exist_ok=True)
    if table := scores["tables"].get("confusion"):
        counts = np.array(table["counts"])
        figure, axes = _figure(1 + 0.5 * len(counts), 1 + 0.5 * len(counts))
        axes.imshow(counts, cmap="Blues")
        for (row, column), count in np.ndenumerate(counts):
            if count:
                axes.text(column, row, str(count), ha="center", va="center", fontsize=8)
        axes.set_xticks(range(len(counts)), table["names"], rotation=45, ha="right")
        axes.set_yticks(range(len(counts)), table["names"])
        axes.set(xlabel="heard", ylabel="in the reference")
        figure.savefig(folder / "confusion.png")
    if parts := scores["tables"]["parts"]:
        figure, axes = _figure(6.4, 1.2 + 0.36 * len(parts))
        bars = axes.barh(range(len(parts)), [row["value"] for row in parts], 0.7)
        axes.bar_label(bars, [f"{row['value']:.3f}" for row in parts], padding=4, fontsize=8)
        axes.set_yticks(range(len(parts)), [f"{row['name']} ({row['count']})" for row in parts])
        axes.set(title="Word error rate by speaker")
        axes.invert_yaxis()
        figure.savefig(folder / "speakers.png")


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(made)
    return made, made.add_subplot()
