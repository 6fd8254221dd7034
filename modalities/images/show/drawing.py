"""What pictures and plots of tasks on images have in common: colours, figures, writing on pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

WIDTH = 800
"""Pixels of a sample's picture; smaller ones are enlarged to be read with ease."""
PACKED = 1
"""Of zlib's levels."""
LINE = 30
"""Height of the line of text below a picture."""
DARK, LIGHT = "#1b1b1e", "#e8e8e8"
GLOW = (255, 80, 30)
COLOURS = ("#e4572e", "#17bebb", "#ffc914", "#76b041", "#9b5de5", "#f15bb5", "#3a86ff", "#fb8500", "#8ac926", "#b5838d")


def font(size: int) -> Any:
    return ImageFont.load_default(size)


def enlarged(pixels: NDArray[np.uint8], width: int = WIDTH) -> tuple[Image.Image, float]:
    """The image (height, width, 3), at least `width` wide, and how many times larger it is."""
    image = Image.fromarray(pixels)
    zoom = max(1.0, width / image.width)
    size = (round(image.width * zoom), round(image.height * zoom))
    return image.resize(size, Image.Resampling.LANCZOS), zoom


def framed(image: Image.Image, lines: int = 1) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """The image above room for lines of text."""
    canvas = Image.new("RGB", (image.width, image.height + lines * LINE), DARK)
    canvas.paste(image, (0, 0))
    return canvas, ImageDraw.Draw(canvas)


def heated(image: Image.Image, heat: NDArray[np.float64]) -> Image.Image:
    """The image, dimmed and grey, with `heat` (h, w), 0 to 1, glowing over all of it."""
    cells = Image.fromarray((heat * 255).astype(np.uint8))
    share = np.asarray(cells.resize(image.size, Image.Resampling.BICUBIC), float)[..., None] / 255 * 0.75
    grey = np.asarray(image.convert("L").convert("RGB"), float) * 0.7
    return Image.fromarray((grey * (1 - share) + np.array(GLOW) * share).round().astype(np.uint8))


def ink(colour: str) -> str:
    """Dark or white writing on a colour, whichever is read better."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#101010" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"


def figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure of so many inches and its axes. Without pyplot, which imports what windows need."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(made)
    axes = made.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return made, axes


def save(made: Any, path: Path) -> None:
    """Of a figure. Drawn once: `savefig` would lay it out and draw it twice."""
    made.canvas.draw()
    png(Image.fromarray(np.asarray(made.canvas.buffer_rgba())), path, made.dpi)


def png(image: Image.Image, path: Path, dpi: float | None = None) -> None:
    """Packed quickly: a third of the time for a few more bytes."""
    more = {} if dpi is None else {"dpi": (dpi, dpi)}
    image.save(path, format="PNG", compress_level=PACKED, **more)


def confusion(names: Sequence[str], counts: NDArray[np.int64], path: Path, labels: dict[str, str]) -> None:
    """counts: row truth, column prediction, shaded by the share of the row; labels: `xlabel`, `ylabel`, `title`."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.2 + 0.55 * len(names)
    made, axes = figure(side + 0.8, side)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            dark = shares[row, column] > 0.5
            axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black", fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(**labels)
    save(made, path)
