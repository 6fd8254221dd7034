"""The embedded sample: real handwritten digits on real photographs, in COCO form, with no download.

Of what they are made: `modalities.images.prepare.digits`.
writes  annotations/instances_{train,val,test}.json and {train,val,test}/*.jpg
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.files import write_json
from modalities.images.prepare import digits
from modalities.images.prepare.digits import Canvas

DIGITS = (1, 5)
"""Fewest and most digits on an image."""
SIZES = (0.22, 0.5)
"""Height of a digit, as a share of the image's shorter side."""
COVER = 0.2
"""Largest share of a digit's box that another one's box may cover."""


def sample(folder: Path, params: Any, seed: int) -> None:
    """Write `data.sample.images` images of `data.sample.size` (height, width); see the module."""
    settings = params.data
    scans, photos = digits.load()
    rng = np.random.default_rng(seed)
    counts = digits.shares(settings.sample.images, settings.splits)
    pools = digits.pools(len(scans.target), counts, rng)
    categories = [{"id": number, "name": name} for number, name in enumerate(digits.NAMES, 1)]
    for (split, strip), pool in zip(digits.STRIPS.items(), pools, strict=True):
        (folder / split).mkdir(parents=True, exist_ok=True)
        queue = iter(np.resize(rng.permutation(pool), counts[split] * DIGITS[1]).tolist())
        content: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": categories}
        for number in range(1, counts[split] + 1):
            canvas = digits.background(photos, strip, settings.sample.size, rng)
            boxes: list[tuple[int, int, int, int]] = []
            for _ in range(rng.integers(DIGITS[0], DIGITS[1] + 1)):
                scan = next(queue)
                box = _draw(canvas, scans.images[scan], boxes, rng)
                if box is None:
                    continue
                boxes.append(box)
                record: dict[str, Any] = {"image_id": number, "category_id": int(scans.target[scan]) + 1, "iscrowd": 0}
                record |= {"id": len(content["annotations"]) + 1, "bbox": list(box), "area": box[2] * box[3]}
                content["annotations"].append(record)
            height, width = canvas.shape[:2]
            name = f"{split}_{number:05d}.jpg"
            content["images"].append({"id": number, "file_name": name, "width": width, "height": height})
            digits.picture(canvas).save(folder / split / name, quality=92)
        write_json(folder / "annotations" / f"instances_{split}.json", content)


def _draw(
    canvas: Canvas,
    scan: NDArray[np.float64],
    others: list[tuple[int, int, int, int]],
    rng: np.random.Generator,
) -> tuple[int, int, int, int] | None:
    """Ink one digit into `canvas` in place; return its tight box x, y, width, height, or None for want of room."""
    side = round(min(canvas.shape[:2]) * rng.uniform(*SIZES))
    ink = digits.trim(digits.ink(scan, side))
    height, width = ink.shape
    for _ in range(20):
        x = int(rng.integers(0, canvas.shape[1] - width + 1))
        y = int(rng.integers(0, canvas.shape[0] - height + 1))
        if all(_covered((x, y, width, height), other) <= COVER for other in others):
            break
    else:
        return None
    digits.paint(canvas, ink, x, y, rng)
    return x, y, width, height


def _covered(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    """Intersection over the smaller of two boxes' areas."""
    sides = [max(0, min(one[i] + one[i + 2], other[i] + other[i + 2]) - max(one[i], other[i])) for i in (0, 1)]
    return sides[0] * sides[1] / min(one[2] * one[3], other[2] * other[3])
