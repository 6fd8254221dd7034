"""Brightness, contrast and hue in numpy, as Pillow's and kornia's functions of these names define them.

Shapes: h and w height and width; colours are RGB float32, 0 to 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.images.augment.view import View

Colours = NDArray[np.float32]
"""(h, w, 3)"""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601."""


def colour(view: View, settings: Any, rng: np.random.Generator) -> View:
    """Factors uniform in 1 - strength to 1 + strength, and a hue turned by up to `hue` of the colour circle."""
    bright = 1 + rng.uniform(-settings.brightness, settings.brightness)
    contrast = 1 + rng.uniform(-settings.contrast, settings.contrast)
    turn = rng.uniform(-settings.hue, settings.hue)
    image = view.pixels.astype(np.float32) / np.float32(255)
    if settings.brightness:
        image = (image * np.float32(bright)).clip(0, 1)
    if settings.contrast:
        mean = (image @ LUMA).mean(dtype=np.float64)
        image = (image * np.float32(contrast) + np.float32(mean * (1 - contrast))).clip(0, 1)
    if settings.hue:
        image = turned(image, turn)
    return replace(view, pixels=(image * 255).round().clip(0, 255).astype(np.uint8))


def turned(image: Colours, turn: float) -> Colours:
    """The image with each hue turned by `turn` of the colour circle, saturation and value kept (HSV: Smith 1978, "Color
    Gamut Transform Pairs", https://doi.org/10.1145/965139.807361).

    Back from HSV, channel n (5, 3, 1 for red, green, blue) is v - v s max(0, min(k, 4 - k, 1)), k = (n + 6 hue) mod 6.
    """
    red, green, blue = (image[..., i] for i in range(3))
    value, least = image.max(-1), image.min(-1)
    chroma = value - least
    divisor = np.where(chroma == 0, np.float32(1), chroma)
    sixths = np.where(
        (red >= green) & (red >= blue),
        (green - blue) / divisor,
        np.where(green >= blue, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    sixths = (sixths + np.float32(6 * turn)) % 6
    channels = []
    for n in (5, 3, 1):
        k = (n + sixths) % 6
        channels.append(value - chroma * np.minimum(np.minimum(k, 4 - k), 1).clip(0))
    return np.stack(channels, -1)
