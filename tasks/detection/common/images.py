"""From an image to the network's input, the same in training's validation, evaluation and serving: numpy and Pillow.

Shapes: images are uint8 (height, width, 3) RGB; boxes are corners x1, y1, x2, y2 in pixels.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

FILL = 127
"""Grey of the padding, 0 after the network's normalisation."""
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")


def decode(source: Path | str | bytes) -> NDArray[np.uint8]:
    """Decode a file or its bytes as (height, width, 3) RGB, turned upright as its EXIF orientation says.

    Raises: OSError or ValueError of Pillow when it is no image; `Image.DecompressionBombError`.
    """
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def fit(image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Scale an image to fit into `size` (height, width) with its aspect kept, padded at the right and bottom.

    Returns: (height, width, 3) and the scales of x and y, network pixels per image pixel (equal but for rounding).
    """
    height, width = image.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    inner = (max(1, min(size[1], round(width * scale))), max(1, min(size[0], round(height * scale))))
    canvas = np.full((*size, 3), FILL, np.uint8)
    resized = Image.fromarray(image).resize(inner, Image.Resampling.BILINEAR)
    canvas[: inner[1], : inner[0]] = np.asarray(resized)
    return canvas, (inner[0] / width, inner[1] / height)
