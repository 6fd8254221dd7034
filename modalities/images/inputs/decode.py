"""From an image to the network's input, the same in training's validation, evaluation and serving: numpy and Pillow.

Shapes: images are uint8 (height, width, 3) RGB; boxes are corners x1, y1, x2, y2 in pixels.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from modalities.images.inputs import bombs, shards
from modalities.images.inputs.formats import FORMATS
from modalities.images.inputs.values import rgb

FILL = 127
"""Grey of the padding, 0 after the network's normalisation."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what turns an image upright. `ImageOps.exif_transpose` would also copy it, and write its metadata
anew, which a file can make slow."""


def decode(source: shards.Source | str | bytes, most: int | None = None) -> NDArray[np.uint8]:
    """Decode a file, a shard's member or bytes as (height, width, 3) RGB, turned upright as its EXIF orientation says.

    Of several frames, the first; more than 8 bits and transparency as in `values`. most: pixels that are decoded at
    most, of a file that nobody vouches for: a decompression bomb is refused before it takes memory or time.
    Raises: OSError or ValueError of Pillow when it is no image; `Image.DecompressionBombError`; and for a damaged file
    whatever Pillow stumbles upon (struct.error, SyntaxError, ...).
    """
    if most is not None and isinstance(source, bytes):
        bombs.look(source)
    file = io.BytesIO(source) if isinstance(source, bytes) else shards.opened(source)
    with Image.open(file, formats=FORMATS) as image:
        if most is not None:
            bombs.bound(image, most)
        image.load()
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
        upright = image if turn is None else image.transpose(turn)
        return np.asarray(rgb(upright))


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


def coloured(image: NDArray[np.uint8], colour: str) -> NDArray[np.uint8]:
    """(height, width, 3) RGB as it is, or, with `colour` "grey", its luma (height, width, 1) by ITU-R BT.601."""
    return image if colour == "rgb" else np.asarray(Image.fromarray(image).convert("L"))[..., None]
