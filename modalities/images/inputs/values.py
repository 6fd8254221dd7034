"""Pixels of any kind made 8-bit RGB by rule, the same in `prepare` and in the server.

- Transparency is laid on white; CMYK, palettes and 1-bit are converted by Pillow.
- Whole numbers of more than 8 bits: white is what the file says (TIFF's BitsPerSample), else the smallest of 255, 4095
  and 65535 that holds every value of the picture: cameras store 12 bits in 16. Above that, and with negative numbers,
  least and greatest become 0 and 255.
- Floats: white is 1 where all values lie from 0 to 1, else as for whole numbers; what is not finite is 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS_PER_SAMPLE = 258
"""Tag of TIFF 6.0, section 8."""
WHITES = (255, 4095, 65535)


def rgb(image: Image.Image) -> Image.Image:
    """An opened picture as mode RGB; the same object where it is already."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if deep(image.mode):
        values, low, white = _range(image)
        scaled = ((values - low) * (255 / (white - low))).round().clip(0, 255)
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer).convert("RGB")
    return image.convert("RGB")


def deep(mode: str) -> bool:
    """Whether pixels of this mode are more than 8 bits."""
    return mode.startswith("I") or mode == "F"


def white_of(image: Image.Image) -> str:
    """What of a `deep` picture became black and white, for a note: `0 to 4095`."""
    _, low, white = _range(image)
    return f"{low:g} to {white:g}"


def _range(image: Image.Image) -> tuple[NDArray[np.float64], float, float]:
    """Values, and those that become 0 and 255."""
    values = np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    stated = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))
    bits = stated[0] if isinstance(stated, tuple) else stated
    if image.mode == "F" and low >= 0 and high <= 1:
        return values, 0.0, 1.0
    if image.mode != "F" and 8 < bits < 16 and low >= 0 and high < 2**bits:
        return values, 0.0, float(2**bits - 1)
    if low < 0 or high > WHITES[-1]:
        return values, low, max(high, low + 1e-12)
    return values, 0.0, float(next(white for white in WHITES if high <= white))
