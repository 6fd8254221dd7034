"""Image files made canonical: plain RGB or grey bytes stay as they are, everything else becomes an upright RGB PNG.

- EXIF orientation: applied to the pixels, and to the boxes when these were drawn on the raw picture (`turn`);
- CMYK and palettes: converted by Pillow; transparency: laid on white;
- 16-bit grey: value / 257, so that 65535 becomes 255; 1-bit: 0 and 255.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from modalities.images.inputs.probe import FORMATS, GOOD, Probe

PLAIN = ("RGB", "L")


def conversion(found: Probe) -> str | None:
    """Why a good file has to be converted; None: it is kept byte for byte."""
    if found.content != GOOD:
        return None
    reasons = [] if found.mode in PLAIN else [f"mode {found.mode}"]
    return " and ".join([*reasons, *(["EXIF rotation"] if found.orientation != 1 else [])]) or None


def write(source: Path, target: Path, convert: bool) -> None:
    """Write `source` to `target`, as RGB PNG when `convert`. Raises: what Pillow raises on damaged bytes."""
    if not convert:
        shutil.copyfile(source, target)
        return
    with Image.open(source, formats=FORMATS) as opened:
        image = _rgb(ImageOps.exif_transpose(opened))
    Image.fromarray(np.asarray(image)).save(target, format="PNG")  # the array carries no metadata along


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, np.float64)
        return Image.fromarray((values / 257).round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def turn(box: list[float], size: tuple[int, int], orientation: int) -> list[float]:
    """A box on the raw picture -> the same box on the upright one.

    box: x, y, width, height; size: width and height of the raw picture; orientation: EXIF 1-8, whose meaning is
    that of CIPA DC-008 (Exif 2.32), 4.6.4: 2 mirrored, 3 by 180 degrees, 4 upside down, 5 transposed, 6 to be turned
    clockwise, 7 transposed about the other diagonal, 8 to be turned counter-clockwise.
    """
    x, y, w, h = box
    width, height = size
    right, bottom = width - x - w, height - y - h
    return {
        1: [x, y, w, h],
        2: [right, y, w, h],
        3: [right, bottom, w, h],
        4: [x, bottom, w, h],
        5: [y, x, h, w],
        6: [bottom, x, h, w],
        7: [bottom, right, h, w],
        8: [y, right, h, w],
    }[orientation]
