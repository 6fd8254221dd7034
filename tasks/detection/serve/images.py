"""Images of requests: decoded, checked, and described by the figures that drift is told by."""

from __future__ import annotations

import ctypes
import logging
import warnings
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import _imaging

from core.errors import DataError
from core.task import Limits
from modalities.images.predict.pictures import pixels

SAMPLED = 4096
"""About so many pixels tell an image's brightness."""


def image(file: bytes, name: str, limits: Limits) -> NDArray[np.uint8]:
    """See `predict.pixels`."""
    _silence()
    return pixels(file, name, limits.pixels)


@cache
def _silence() -> None:
    """What Pillow and libtiff say of a client's file would stand in the server's log, a line for each spoiled row."""
    warnings.filterwarnings("ignore", module=r"PIL\b")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    with suppress(AttributeError):  # a Pillow without libtiff
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def figures(image: NDArray[np.uint8]) -> dict[str, float]:
    """Width and height in pixels; brightness, contrast (standard deviation) and saturation, 0 to 255, of `SAMPLED`
    pixels in a grid."""
    height, width = image.shape[:2]
    step = max(1, round((height * width / SAMPLED) ** 0.5))
    red, green, blue = np.ascontiguousarray(image[::step, ::step].reshape(-1, 3).T, np.float32)
    grey = (red + green + blue) / 3
    colour = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return {
        "width": float(width),
        "height": float(height),
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "saturation": float(colour.mean()),
    }


def rgb(array: NDArray[Any], limits: Limits) -> NDArray[np.uint8]:
    """The input `pixels`, checked."""
    _, height, width, channels = array.shape
    if channels != 3 or 0 in (height, width):
        raise DataError(
            f"pixels: has the shape {list(array.shape)}, expected [images, height, width, 3] with height and width "
            "of at least 1"
        )
    if height * width > limits.pixels:
        raise DataError(
            f"pixels: an image has {width} x {height} = {width * height} pixels, expected at most {limits.pixels}"
        )
    if array.dtype == np.uint8:
        return array
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 255):  # not a number is neither
        raise DataError(f"pixels: values lie from {low:g} to {high:g}, expected 0 to 255")
    return np.rint(array).astype(np.uint8)
