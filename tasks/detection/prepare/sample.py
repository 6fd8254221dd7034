"""The embedded sample: real handwritten digits on real photographs, in COCO form, with no download.

Digits: 1,797 scans of 8x8 pixels (Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, CC BY 4.0).
Photographs: china.jpg and flower.jpg (CC BY 2.0). Both lie inside scikit-learn.
writes  annotations/instances_{train,val,test}.json and {train,val,test}/*.jpg

No scan stands in two splits, and the backgrounds of the splits are cut from separate strips of the photographs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from core.files import write_json

STRIPS = {"train": (0.0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1.0)}
"""Left and right edge of each split's strip, as shares of a photograph's width."""
DIGITS = (1, 5)
"""Fewest and most digits on an image."""
SIZES = (0.22, 0.5)
"""Height of a digit, as a share of the image's shorter side."""
COVER = 0.2
"""Largest share of a digit's box that another one's box may cover."""


def sample(folder: Path, params: Any, seed: int) -> None:
    """Write `data.sample.images` images of `data.sample.size` (height, width); see the module."""
    from sklearn.datasets import load_digits, load_sample_images

    settings = params.data
    digits = load_digits()
    photos = [np.asarray(photo) for photo in load_sample_images().images]
    rng = np.random.default_rng(seed)
    total = settings.sample.images
    counts = {"val": round(total * settings.splits.val), "test": round(total * settings.splits.test)}
    counts = {"train": total - sum(counts.values()), **counts}
    order = rng.permutation(len(digits.target))
    shares = np.cumsum([counts[split] / total for split in STRIPS])[:-1]
    pools = np.split(order, (shares * len(order)).astype(int))
    categories = [{"id": digit + 1, "name": str(digit)} for digit in range(10)]
    for (split, strip), pool in zip(STRIPS.items(), pools, strict=True):
        (folder / split).mkdir(parents=True, exist_ok=True)
        queue = iter(np.resize(rng.permutation(pool), counts[split] * DIGITS[1]).tolist())
        content: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": categories}
        for number in range(1, counts[split] + 1):
            canvas = _background(photos, strip, settings.sample.size, rng)
            boxes: list[tuple[int, int, int, int]] = []
            for _ in range(rng.integers(DIGITS[0], DIGITS[1] + 1)):
                scan = next(queue)
                box = _draw(canvas, digits.images[scan], boxes, rng)
                if box is None:
                    continue
                boxes.append(box)
                record: dict[str, Any] = {"image_id": number, "category_id": int(digits.target[scan]) + 1, "iscrowd": 0}
                record |= {"id": len(content["annotations"]) + 1, "bbox": list(box), "area": box[2] * box[3]}
                content["annotations"].append(record)
            height, width = canvas.shape[:2]
            name = f"{split}_{number:05d}.jpg"
            content["images"].append({"id": number, "file_name": name, "width": width, "height": height})
            Image.fromarray(canvas.round().astype(np.uint8)).save(folder / split / name, quality=92)
        write_json(folder / "annotations" / f"instances_{split}.json", content)


def _background(
    photos: list[NDArray[np.uint8]], strip: tuple[float, float], size: list[int], rng: np.random.Generator
) -> NDArray[np.float64]:
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


def _draw(
    canvas: NDArray[np.float64],
    scan: NDArray[np.float64],
    others: list[tuple[int, int, int, int]],
    rng: np.random.Generator,
) -> tuple[int, int, int, int] | None:
    """Ink one digit into `canvas` in place; return its tight box x, y, width, height, or None for want of room."""
    side = round(min(canvas.shape[:2]) * rng.uniform(*SIZES))
    ink = _ink(scan, side)
    rows, columns = np.nonzero(ink.max(1) > 0.35)[0], np.nonzero(ink.max(0) > 0.35)[0]
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = ink.shape
    for _ in range(20):
        x = int(rng.integers(0, canvas.shape[1] - width + 1))
        y = int(rng.integers(0, canvas.shape[0] - height + 1))
        if all(_covered((x, y, width, height), other) <= COVER for other in others):
            break
    else:
        return None
    window = canvas[y : y + height, x : x + width]
    colour = rng.uniform(0, 70, 3) if window.mean() > rng.uniform(95, 150) else rng.uniform(190, 255, 3)
    window += (colour - window) * (ink * rng.uniform(0.8, 1.0))[..., None]
    np.clip(canvas, 0, 255, out=canvas)
    return x, y, width, height


def _ink(scan: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """8x8 grey levels 0-16 -> (side, side) opacity 0-1 with a smooth edge."""
    grey = Image.fromarray(np.pad(scan / 16 * 255, 1).astype(np.uint8))
    big = grey.resize((side * 10 // 8, side * 10 // 8), Image.Resampling.BICUBIC).filter(
        ImageFilter.GaussianBlur(side / 40)
    )
    return ((np.asarray(big, np.float64) / 255 - 0.38) / 0.3).clip(0, 1)


def _covered(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    """Intersection over the smaller of two boxes' areas."""
    sides = [max(0, min(one[i] + one[i + 2], other[i] + other[i + 2]) - max(one[i], other[i])) for i in (0, 1)]
    return sides[0] * sides[1] / min(one[2] * one[3], other[2] * other[3])
