"""Role `show` of classification: pictures with what they are taken for, and plots of a score's tables.

Writes into the given folder: `sample_00.png`, ... (the picture, the heat map of where the model saw its answer, and the
likeliest classes beside them; the true ones are marked), and `confusion.png`, `reliability.png`, `classes.png`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from modalities.images.inputs.decode import decode
from modalities.images.predict.cam import heat
from modalities.images.show import labels
from modalities.images.show.drawing import DARK, LIGHT, LINE, enlarged, font, framed, heated, png

WIDTH = 360
"""Of each of the two pictures side by side, pixels."""
BARS = 5
RIGHT, WRONG = "#76b041", "#e4572e"


def show(inputs: Iterable[Any], predictions: Iterable[Any], references: Iterable[Any], folder: Path) -> None:
    """One PNG for each image (a path, bytes or an array), see the module."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, (source, prediction, reference) in enumerate(zip(inputs, predictions, references, strict=True)):
        pixels = source if isinstance(source, np.ndarray) else decode(source)
        png(picture(pixels, prediction, reference), folder / f"sample_{i:02d}.png")


def picture(pixels: Any, prediction: Any, reference: Any) -> Image.Image:
    """Image (height, width, 3) and its heat map, above bars of the likeliest classes."""
    plain, _ = enlarged(pixels, WIDTH)
    views = (
        [plain]
        if "cam" not in prediction
        else [plain, heated(plain, heat(np.array(prediction["cam"]), plain.width, plain.height))]
    )
    strip = Image.new("RGB", (2 * plain.width, plain.height), DARK)
    for i, view in enumerate(views):
        strip.paste(view, (i * plain.width + (len(views) == 1) * plain.width // 2, 0))
    shown = prediction["classes"][:BARS]
    canvas, draw = framed(strip, len(shown) + 1)
    names = {entry["id"]: entry["name"] for entry in reference["categories"]}
    true = ", ".join(names[label] for label in reference["whole"]) or "none"
    draw.text((10, strip.height + LINE / 2), f"in the reference: {true}", LIGHT, font(15), anchor="lm")
    for row, entry in enumerate(shown, 1):
        _bar(draw, canvas.width, strip.height + row * LINE, entry, entry["category_id"] in reference["whole"])
    return canvas


def plots(scores: dict[str, Any], folder: Path) -> None:
    """Confusion matrix, reliability diagram, F1 by class."""
    labels.plots(scores["tables"], scores["metrics"]["ece"], folder)


def _bar(draw: ImageDraw.ImageDraw, width: int, top: float, entry: Any, true: bool) -> None:
    """Name, a bar as long as the probability, and the number."""
    left, right, middle = 160, width - 70, top + LINE / 2
    end = left + (right - left) * entry["probability"]
    name = entry["label"] if len(entry["label"]) <= 18 else entry["label"][:17] + "…"
    draw.text((10, middle), name, LIGHT, font(15), anchor="lm")
    draw.rectangle((left, top + 8, right, top + LINE - 8), fill="#33333a")
    draw.rectangle((left, top + 8, max(end, left + 1), top + LINE - 8), fill=RIGHT if true else WRONG)
    draw.text((width - 10, middle), f"{entry['probability']:.1%}", LIGHT, font(15), anchor="rm")
