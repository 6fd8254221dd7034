"""Cheap random transforms at load, anew in every epoch: one resize of a random window, flips and colour.

They add to the `augment` stage, whose transforms cost more and are the same in every epoch.

Shapes: images are uint8 (height, width, 3) RGB; boxes (M, 4) corners x1, y1, x2, y2 in pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modalities.images.inputs.decode import FILL

VISIBLE = 0.25
"""Share of a box that must lie in the view for the box to stay."""


def jitter(
    image: NDArray[np.uint8], boxes: NDArray[np.float64], size: tuple[int, int], settings: Any, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A random view of an image and its boxes, clipped to it.

    size: (height, width) of the view; settings: `Jitter` of the params.
    Returns: (*size, 3) and (M, 4) in its pixels; a box that left the view has no area.
    """
    pixels, boxes = _window(image, boxes, size, settings, rng)
    if rng.random() < settings.flip_horizontal:
        pixels, boxes = (
            pixels[:, ::-1],
            np.stack([size[1] - boxes[:, 2], boxes[:, 1], size[1] - boxes[:, 0], boxes[:, 3]], 1),
        )
    if rng.random() < settings.flip_vertical:
        pixels, boxes = (
            pixels[::-1],
            np.stack([boxes[:, 0], size[0] - boxes[:, 3], boxes[:, 2], size[0] - boxes[:, 1]], 1),
        )
    return _colour(pixels, settings.colour, rng), boxes


def _window(
    image: NDArray[np.uint8], boxes: NDArray[np.float64], size: tuple[int, int], settings: Any, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Scale the image by a random factor (1: it just fits) and aspect, place it at random in the view, and shift it."""
    height, width = image.shape[:2]
    low, high = settings.scale
    fitting = min(size[0] / height, size[1] / width)
    scale = fitting * np.exp(rng.uniform(np.log(low), np.log(high)))
    stretch = np.exp(rng.uniform(-settings.aspect, settings.aspect) / 2)
    scales = np.array([scale * stretch, scale / stretch])
    view = np.array([size[1], size[0]], float)
    inside = np.array([width, height]) * scales
    origin = rng.uniform(np.minimum(view - inside, 0), np.maximum(view - inside, 0))  # of the image, in the view
    if settings.shift:
        moved = origin + np.round(rng.uniform(-settings.shift, settings.shift, 2) * view)
        origin = moved.clip(1 - inside, view - 1)  # some of it stays in view
    low_corner = np.round(origin).clip(0, view - 1).astype(int)
    high_corner = np.maximum(np.minimum(np.round(origin + inside), view).astype(int), low_corner + 1)
    source = [*((low_corner - origin) / scales), *((high_corner - origin) / scales)]
    limits = (width, height, width, height)
    source = [min(max(value, 0.0), limit) for value, limit in zip(source, limits, strict=True)]
    part = Image.fromarray(image).resize(
        tuple((high_corner - low_corner).tolist()), Image.Resampling.BILINEAR, box=tuple(source)
    )
    canvas = np.full((*size, 3), FILL, np.uint8)
    canvas[low_corner[1] : high_corner[1], low_corner[0] : high_corner[0]] = np.asarray(part)
    moved = boxes * np.tile(scales, 2) + np.tile(origin, 2)
    clipped = moved.clip(0, np.tile(view, 2))
    hidden = _area(clipped) < VISIBLE * _area(moved)
    clipped[hidden, 2:] = clipped[hidden, :2]
    return canvas, clipped


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)


def _colour(pixels: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random gain and offset, mostly shared by the channels (brightness, contrast) and a little of each (hue)."""
    if not strength:
        return pixels
    gain = (1 + rng.uniform(-strength, strength)) * (1 + rng.uniform(-strength, strength, 3) / 4)
    offset = 127 * (rng.uniform(-strength, strength) + rng.uniform(-strength, strength, 3) / 4)
    levels = np.arange(256)[:, None]
    table = ((levels - 127) * gain + 127 + offset).clip(0, 255).astype(np.uint8)
    return np.stack([table[pixels[..., channel], channel] for channel in range(3)], -1)
