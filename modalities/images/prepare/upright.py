"""Image files made canonical: plain RGB or grey bytes stay as they are, everything else becomes an upright RGB PNG.

- EXIF orientation: applied to the pixels, and to the boxes when these were drawn on the raw picture (`turn`);
- every other mode, more than 8 bits and transparency: as `inputs.values` has it, which the server uses, too.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modalities.images.inputs import values
from modalities.images.inputs.decode import TURNS
from modalities.images.inputs.formats import FORMATS
from modalities.images.inputs.probe import GOOD, ORIENTATION, Probe

PLAIN = ("RGB", "L")


def conversion(found: Probe) -> str | None:
    """Why a good file has to be converted; None: it is kept byte for byte."""
    if found.content != GOOD:
        return None
    reasons = [] if found.mode in PLAIN else [f"mode {found.mode}"]
    return " and ".join([*reasons, *(["EXIF rotation"] if found.orientation != 1 else [])]) or None


def convert(source: Path) -> tuple[NDArray[np.uint8], str | None]:
    """The picture as (height, width, 3) upright RGB; of one of more than 8 bits, which values became black and white.

    Raises: what Pillow raises on damaged bytes.
    """
    with Image.open(source, formats=FORMATS) as opened:
        scaled = values.white_of(opened) if values.deep(opened.mode) else None
        image = values.rgb(opened)
        exif = opened.getexif()
        turn = TURNS.get(exif.get(ORIENTATION, 1))
        image = image if turn is None else image.transpose(turn)
    return np.asarray(image), scaled


def png(source: Path) -> bytes:
    """The picture as an RGB PNG. Raises: as `convert`."""
    file = io.BytesIO()
    Image.fromarray(convert(source)[0]).save(file, format="PNG")  # the array carries no metadata along
    return file.getvalue()


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
