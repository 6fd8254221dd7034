"""Transforms that take pixels from elsewhere: mosaic, mixup and random erasing.

Shapes: see `view`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modalities.images.augment.geometry import warp
from modalities.images.augment.view import View, area, join, settle

CENTRE = (0.35, 0.65)
"""Where the four images of a mosaic meet, as a share of the sides."""
ZOOM = (0.5, 0.9)
"""Scale of an image in a mosaic, before it is enlarged to fill its tile."""
ERASE_AREA = (0.02, 0.12)
"""Area of the erased rectangle, as a share of the image's."""


def mosaic(views: Sequence[View], rng: np.random.Generator) -> View:
    """Four images in the tiles of one of the first's size (Bochkovskiy et al. 2020, https://arxiv.org/abs/2004.10934)."""
    height, width = views[0].size
    x, y = (round(side * rng.uniform(*CENTRE)) for side in (width, height))
    pixels = np.empty((height, width, 3), np.uint8)
    tiles = []
    spans = [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
    for view, (left, top, right, bottom) in zip(views, spans, strict=True):
        room = (bottom - top, right - left)
        factor = max(rng.uniform(*ZOOM), room[0] / view.size[0], room[1] / view.size[1])
        origin = [rng.uniform(0, view.size[1] * factor - room[1]), rng.uniform(0, view.size[0] * factor - room[0])]
        matrix = np.array([[factor, 0, -origin[0]], [0, factor, -origin[1]], [0, 0, 1]])
        tile = settle(warp(view, matrix, room))
        pixels[top:bottom, left:right] = tile.pixels
        tiles.append(replace(tile, boxes=tile.boxes + np.array([left, top, left, top])))
    return join(pixels, tiles)


def mixup(view: View, other: View, rng: np.random.Generator) -> View:
    """Both images at about half strength, and the boxes of both (Zhang et al. 2019, https://arxiv.org/abs/1902.04103)."""
    share = rng.beta(8, 8)
    fit = min(view.size[0] / other.size[0], view.size[1] / other.size[1])
    guest = warp(other, np.diag([fit, fit, 1]), view.size)
    pixels = (share * view.pixels + (1 - share) * guest.pixels).round().astype(np.uint8)
    return join(pixels, [view, settle(guest)])


def erase(view: View, rng: np.random.Generator) -> View:
    """One rectangle of noise (Zhong et al. 2020, https://arxiv.org/abs/1708.04896); what it hides counts as unseen."""
    height, width = view.size
    share, ratio = rng.uniform(*ERASE_AREA), np.exp(rng.uniform(-1, 1))
    h = int(np.clip(round(np.sqrt(share * height * width * ratio)), 1, height))
    w = int(np.clip(round(np.sqrt(share * height * width / ratio)), 1, width))
    x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    pixels = view.pixels.copy()
    pixels[y : y + h, x : x + w] = rng.integers(0, 256, (h, w, 3), np.uint8)
    return replace(view, pixels=pixels, visible=view.visible * (1 - _hidden(view.boxes, (x, y, x + w, y + h))))


def _hidden(boxes: NDArray[np.float64], hole: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Share (M,) of each box that `hole` covers."""
    covered = np.concatenate([np.maximum(boxes[:, :2], hole[:2]), np.minimum(boxes[:, 2:], hole[2:])], 1)
    return area(covered) / np.maximum(area(boxes), 1e-9)
