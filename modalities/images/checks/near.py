"""Pictures of different splits that are nearly the same: the same photograph again, in another size or compression.

Candidates have difference hashes that differ in a few of 64 bits (dHash: N. Krawetz 2013, "Kind of Like That",
https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html); a pair is told when its thumbnails
differ by little, too, since hashes of plain pictures say little.

Time is bounded: 60,000 pictures are 10^9 comparisons of 64 bits at most, and no more than `MOST` pairs of thumbnails.
Shapes: N, M pictures of two splits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modalities.images.checks.pictures import Content, named
from modalities.splits import SPLITS

SIDE = 16
"""Of a grey thumbnail, pixels."""
BITS = 4
"""Of 64, in which candidates differ at most."""
DIFFERENCE = 3.0
"""Mean absolute difference of thumbnails, of 255, up to which two pictures are nearly the same."""
CONTRAST = 8.0
"""Standard deviation of a thumbnail, of 255, below which a picture shows too little to be told from others."""
CHUNK = 512
MOST = 2_000_000


@dataclass(frozen=True)
class Looks:
    """What the pictures of a split look like."""

    names: list[str]
    hashes: NDArray[np.uint64]
    """(N,)"""
    thumbnails: NDArray[np.uint8]
    """(N, SIDE * SIDE) grey."""


def warnings(dataset: Path, contents: dict[str, Content]) -> list[str]:
    """A sentence for each two splits of which pictures are nearly the same."""
    found = {split: looks(dataset / "images", [i["file_name"] for i in contents[split]["images"]]) for split in SPLITS}
    told = []
    for one, other in combinations(SPLITS, 2):
        shared, cut = pairs(found[one], found[other])
        if shared:
            names = named((found[one].names[i], found[other].names[j]) for i, j in shared)
            count = len({j for _, j in shared})
            told.append(
                f"{'at least ' if cut else ''}{count} images of {other} are nearly the same as one of {one} ({names}); "
                "figures of a held-out split that was seen in training are too good"
            )
    return told


def looks(folder: Path, names: list[str]) -> Looks:
    """Read the pictures `names` of `folder`, which are good ones; those that show nothing are left out."""
    kept, hashes, thumbnails = [], [], []
    for name in names:
        with Image.open(folder / name) as image:
            image.draft("L", (4 * SIDE, 4 * SIDE))  # a JPEG is decoded at an eighth of its size where that is enough
            grey = image.convert("L")
            thumbnail = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))
            rows = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), np.int16)
        if thumbnail.std() < CONTRAST:
            continue
        kept.append(name)
        hashes.append(np.packbits(rows[:, 1:] > rows[:, :-1]).view(np.uint64)[0])
        thumbnails.append(thumbnail.ravel())
    return Looks(kept, np.array(hashes, np.uint64), np.array(thumbnails, np.uint8).reshape(-1, SIDE * SIDE))


def pairs(one: Looks, other: Looks) -> tuple[list[tuple[int, int]], bool]:
    """Positions (i in `one`, j in `other`) of nearly the same pictures, and whether there were too many to look at."""
    found: list[tuple[int, int]] = []
    looked = 0
    for first in range(0, len(one.hashes), CHUNK):
        distance = np.bitwise_count(one.hashes[first : first + CHUNK, None] ^ other.hashes[None])
        i, j = np.nonzero(distance <= BITS)
        if looked + len(i) > MOST:
            return found, True
        looked += len(i)
        for start in range(0, len(i), CHUNK * CHUNK // 16):
            mine, theirs = i[start : start + CHUNK * CHUNK // 16] + first, j[start : start + CHUNK * CHUNK // 16]
            apart = np.abs(one.thumbnails[mine].astype(np.int16) - other.thumbnails[theirs]).mean(1)
            close = apart <= DIFFERENCE
            found += zip(mine[close].tolist(), theirs[close].tolist(), strict=True)
    return found, False
