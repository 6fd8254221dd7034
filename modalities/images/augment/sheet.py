"""A contact sheet: a grid of images with their boxes and class names, or with the names of what they show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from modalities.images.augment.view import View

COLUMNS = 4
CELL = 320
"""Width of a cell, pixels."""
GAP = 8
PAPER = (24, 26, 31)
INKS = ("#4e9fff", "#ff8a3c", "#3ecf8e", "#ff5c7a", "#b48bff", "#e3c64a", "#4fd6e0", "#f38bd6", "#a3b18a", "#c9ced8")


def contact_sheet(views: Sequence[View], names: Mapping[int, str], path: Path) -> None:
    """Draw `views` on a grid, in cells of the first one's aspect, and write it as PNG."""
    aspect = views[0].size[0] / views[0].size[1] if views else 0.75
    cell = (CELL, round(CELL * aspect))
    rows = max(1, math.ceil(len(views) / COLUMNS))
    size = (COLUMNS * (cell[0] + GAP) + GAP, rows * (cell[1] + GAP) + GAP)
    sheet = Image.new("RGB", size, PAPER)
    for position, view in enumerate(views):
        picture = _picture(view, names, cell)
        x = GAP + position % COLUMNS * (cell[0] + GAP) + (cell[0] - picture.width) // 2
        y = GAP + position // COLUMNS * (cell[1] + GAP) + (cell[1] - picture.height) // 2
        sheet.paste(picture, (x, y))
    sheet.save(path, format="PNG")


def _picture(view: View, names: Mapping[int, str], cell: tuple[int, int]) -> Image.Image:
    scale = min(cell[0] / view.size[1], cell[1] / view.size[0])
    inner = (max(1, round(view.size[1] * scale)), max(1, round(view.size[0] * scale)))
    picture = Image.fromarray(view.pixels).resize(inner, Image.Resampling.LANCZOS)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    order = {number: position for position, number in enumerate(sorted(names))}
    for box, label in zip(view.boxes * scale, view.labels.tolist(), strict=True):
        ink = INKS[order[label] % len(INKS)]
        left, top, right, bottom = (float(value) for value in box)
        draw.rectangle((left, top, right - 1, bottom - 1), outline=ink, width=2)
        width = draw.textlength(names[label], font=font) + 6
        _chip(draw, names[label], min(left, inner[0] - width), max(0.0, top - 14), ink, font)
    left = 0.0
    for label in view.whole.tolist():
        left += _chip(draw, names[label], left, 0.0, INKS[order[label] % len(INKS)], font)
    return picture


def _chip(draw: ImageDraw.ImageDraw, text: str, x: float, y: float, ink: str, font: Any) -> float:
    """Write a name on its colour; return its width."""
    width = draw.textlength(text, font=font) + 6
    draw.rectangle((x, y, x + width, y + 14), fill=ink)
    draw.text((x + 3, y + 7), text, fill=PAPER, font=font, anchor="lm")
    return width
