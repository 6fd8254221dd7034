"""Role `prepare` of classification: folders of classes or a manifest -> the canonical dataset; and the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from modalities.images.prepare import canonical, digits, folders, manifest

FORMATS = {"folders": folders, "manifest": manifest}
SIZES = (0.65, 0.9)
"""Height of a digit, as a share of the image's shorter side."""


def prepare(source: Path, folder: Path, params: Any, seed: int) -> dict[str, Any]:
    """See `modalities.images.prepare.canonical`."""
    return canonical.prepare(source, folder, params, seed, FORMATS)


def sample(folder: Path, params: Any, seed: int) -> None:
    """A digit on each of `data.sample.images` images of `data.sample.size` (height, width), with folders of classes:
    `train/7/00001.jpg`; see `digits`."""
    settings = params.data
    scans, photos = digits.load()
    rng = np.random.default_rng(seed)
    counts = digits.shares(settings.sample.images, settings.splits)
    pools = digits.pools(len(scans.target), counts, rng)
    for (split, strip), pool in zip(digits.STRIPS.items(), pools, strict=True):
        for number, scan in enumerate(np.resize(rng.permutation(pool), counts[split]).tolist(), 1):
            canvas = digits.background(photos, strip, settings.sample.size, rng)
            height, width = canvas.shape[:2]
            ink = digits.trim(digits.ink(scans.images[scan], round(min(height, width) * rng.uniform(*SIZES))))
            x, y = (int(rng.integers(0, room + 1)) for room in (width - ink.shape[1], height - ink.shape[0]))
            digits.paint(canvas, ink, x, y, rng)
            place = folder / split / digits.NAMES[scans.target[scan]]
            place.mkdir(parents=True, exist_ok=True)
            digits.picture(canvas).save(place / f"{number:05d}.jpg", quality=92)
