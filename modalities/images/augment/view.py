"""One image with its boxes and labels on the way through the transforms, and how boxes are kept.

Shapes: `M` boxes; pixels uint8 (height, width, 3) RGB; boxes float64 (M, 4) corners x1, y1, x2, y2 in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

MIN_VISIBLE = 0.3
"""A box of which less than this share of its area is left to see is dropped."""
MIN_SIDE = 2.0
"""A box that became narrower or lower than this, pixels, is dropped."""


@dataclass(frozen=True)
class View:
    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    """Category ids (M,)."""
    visible: NDArray[np.float64]
    """Share (M,) of each box's area that is still to be seen."""
    whole: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Category ids of the whole picture, which no transform takes from it."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]


def area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) square pixels; 0 where a box is turned inside out."""
    return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1)


def clip(view: View) -> View:
    """Cut boxes at the image's edges and count what that takes from their visible share."""
    height, width = view.size
    cut = view.boxes.clip(0, [width, height, width, height])
    share = area(cut) / np.maximum(area(view.boxes), 1e-9)
    return replace(view, boxes=cut, visible=view.visible * share)


def settle(view: View) -> View:
    """Drop the boxes of which too little is left."""
    kept = (view.visible >= MIN_VISIBLE) & ((view.boxes[:, 2:] - view.boxes[:, :2]) >= MIN_SIDE).all(1)
    return replace(view, boxes=view.boxes[kept], labels=view.labels[kept], visible=view.visible[kept])


def join(pixels: NDArray[np.uint8], views: list[View]) -> View:
    """The boxes and labels of all `views`, which are in the coordinates of `pixels` already."""
    return View(
        pixels,
        np.concatenate([view.boxes for view in views]),
        np.concatenate([view.labels for view in views]),
        np.concatenate([view.visible for view in views]),
        np.unique(np.concatenate([view.whole for view in views])),
    )
