"""Handwritten digits on photographs, of which the tasks on images make their samples, with no download.

Digits: 1,797 scans of 8x8 pixels (Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, CC BY 4.0).
Photographs: china.jpg and flower.jpg (CC BY 2.0). Both lie inside scikit-learn.

No scan stands in two splits, and the backgrounds of the splits are cut from separate strips of the photographs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

STRIPS = {"train": (0.0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1.0)}
"""Left and right edge of each split's strip, as shares of a photograph's width."""
NAMES = [str(digit) for digit in range(10)]
Photo = NDArray[np.uint8]
Canvas = NDArray[np.float64]
"""(height, width, 3), 0-255."""


def load() -> tuple[Any, list[Photo]]:
    """scikit-learn's digits (`images` (1797, 8, 8) grey 0-16, `target`), and its photographs."""
    from sklearn.datasets import load_digits, load_sample_images

    return load_digits(), [np.asarray(photo) for photo in load_sample_images().images]


def shares(total: int, splits: Any) -> dict[str, int]:
    """How many pictures each split gets, in the order of `STRIPS`. splits: `SplitParams`."""
    held = {"val": round(total * splits.val), "test": round(total * splits.test)}
    return {"train": total - sum(held.values()), **held}


def pools(count: int, counts: dict[str, int], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Positions of the scans of each split, as large a share of `count` as its `counts`."""
    edges = np.cumsum([counts[split] / sum(counts.values()) for split in STRIPS])[:-1]
    return np.split(rng.permutation(count), (edges * count).astype(int))


def background(photos: list[Photo], strip: tuple[float, float], size: list[int], rng: np.random.Generator) -> Canvas:
    """A random window of a split's strip, mirrored at times, brought to `size` and made a little calmer."""
    photo = photos[rng.integers(len(photos))]
    height, width = size
    left, right = (int(edge * photo.shape[1]) for edge in strip)
    narrow = min(0.2 * photo.shape[1], photo.shape[0] * width / height)  # every strip has room for it
    w = int(narrow * rng.uniform(0.6, 1.0))
    h = max(1, int(w * height / width))
    x, y = rng.integers(left, right - w + 1), rng.integers(0, photo.shape[0] - h + 1)
    window = Image.fromarray(photo[y : y + h, x : x + w]).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(window, np.float64)[:, :: rng.choice([-1, 1])]
    return (pixels - pixels.mean()) * 0.75 + rng.uniform(85, 170)


def ink(scan: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """8x8 grey levels 0-16 -> (side, side) opacity 0-1 with a smooth edge."""
    grey = Image.fromarray(np.pad(scan / 16 * 255, 1).astype(np.uint8))
    big = grey.resize((side * 10 // 8, side * 10 // 8), Image.Resampling.BICUBIC).filter(
        ImageFilter.GaussianBlur(side / 40)
    )
    return ((np.asarray(big, np.float64) / 255 - 0.38) / 0.3).clip(0, 1)


def trim(opacity: Canvas) -> Canvas:
    """The part of (height, width) that holds ink."""
    rows, columns = np.nonzero(opacity.max(1) > 0.35)[0], np.nonzero(opacity.max(0) > 0.35)[0]
    return opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def paint(canvas: Canvas, opacity: Canvas, x: int, y: int, rng: np.random.Generator) -> None:
    """Ink a digit into `canvas` in place, its left upper corner at x, y; light on what is dark and dark on the rest."""
    height, width = opacity.shape
    window = canvas[y : y + height, x : x + width]
    colour = rng.uniform(0, 70, 3) if window.mean() > rng.uniform(95, 150) else rng.uniform(190, 255, 3)
    window += (colour - window) * (opacity * rng.uniform(0.8, 1.0))[..., None]
    np.clip(canvas, 0, 255, out=canvas)


def picture(canvas: Canvas) -> Image.Image:
    return Image.fromarray(canvas.round().astype(np.uint8))
