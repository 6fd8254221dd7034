"""Pictures of different splits that are nearly the same: the same photograph again, in another size or compression.

Candidates have difference hashes that differ in a few of 64 bits (dHash: N. Krawetz 2013, "Kind of Like That",
https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html); a pair is told when its thumbnails
differ by little, too, since hashes of plain pictures say little.

Time is bounded: what hashes have in common is looked up, and where too many have too much, 60,000 pictures are 10^9
comparisons of 64 bits at most, and no more than `MOST` pairs of thumbnails.
Shapes: N, M pictures of two splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modalities.images.checks.each import each
from modalities.images.checks.pictures import Content, named
from modalities.images.inputs import shards
from modalities.splits import SPLITS

SIDE = 16
"""Of a grey thumbnail, pixels."""
BITS = 4
"""Of 64, in which candidates differ at most."""
DIFFERENCE = 3.0
"""Mean absolute difference of thumbnails, of 255, up to which two pictures are nearly the same."""
CONTRAST = 8.0
"""Standard deviation of a thumbnail, of 255, below which a picture shows too little to be told from others."""
WIDTH = -(-64 // (BITS + 1))
STARTS = range(0, 64, WIDTH)
"""Bands of a hash, one more than bits that may differ."""
DENSE = 8
"""To compare a pair by its bands takes as long as so many comparisons of all with all."""
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
    looked = dict(zip(SPLITS, looks(dataset, [contents[split]["images"] for split in SPLITS]), strict=True))
    told = []
    for one, other in combinations(SPLITS, 2):
        shared, cut = pairs(looked[one], looked[other])
        if shared:
            names = named((looked[one].names[i], looked[other].names[j]) for i, j in shared)
            count = len({j for _, j in shared})
            told.append(
                f"{'at least ' if cut else ''}{count} images of {other} are nearly the same as one of {one} ({names}); "
                "figures of a held-out split that was seen in training are too good"
            )
    return told


def looks(dataset: Path, groups: Sequence[Sequence[dict[str, Any]]]) -> list[Looks]:
    """Read the pictures of a dataset's entries, which are good ones; those that show nothing are left out."""
    images = [image for group in groups for image in group]
    shown = np.zeros(len(images), bool)
    hashes, thumbnails = np.zeros(len(images), np.uint64), np.zeros((len(images), SIDE * SIDE), np.uint8)
    for position, found in each(_look, dataset, images):
        if found is not None:
            shown[position], hashes[position] = True, found[0]
            thumbnails[position] = np.frombuffer(bytes.fromhex(found[1]), np.uint8)
    made, first = [], 0
    for group in groups:
        kept = first + np.flatnonzero(shown[first : first + len(group)])
        made.append(Looks([images[i]["file_name"] for i in kept], hashes[kept], thumbnails[kept]))
        first += len(group)
    return made


def _look(source: shards.Source) -> tuple[int, str] | None:
    """Hash and thumbnail, the latter in hexadecimal; None of a picture that shows nothing."""
    with Image.open(shards.opened(source)) as image:
        image.draft("L", (4 * SIDE, 4 * SIDE))  # a JPEG is decoded at an eighth of its size where that is enough
        grey = image.convert("L")
        thumbnail = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))
        rows = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), np.int16)
    if thumbnail.std() < CONTRAST:
        return None
    return int(np.packbits(rows[:, 1:] > rows[:, :-1]).view(np.uint64)[0]), thumbnail.tobytes().hex()


def pairs(one: Looks, other: Looks) -> tuple[list[tuple[int, int]], bool]:
    """Positions (i in `one`, j in `other`) of nearly the same pictures, and whether there were too many to look at."""
    found: list[tuple[int, int]] = []
    looked = 0
    bands = [_band(other.hashes, start) for start in STARTS]
    orders = [np.argsort(band, kind="stable") for band in bands]
    ranks = [band[order] for band, order in zip(bands, orders, strict=True)]
    for first in range(0, len(one.hashes), CHUNK):
        i, j = _candidates(one.hashes[first : first + CHUNK], other.hashes, orders, ranks)
        if looked + len(i) > MOST:
            return found, True
        looked += len(i)
        for start in range(0, len(i), CHUNK * CHUNK // 16):
            mine, theirs = i[start : start + CHUNK * CHUNK // 16] + first, j[start : start + CHUNK * CHUNK // 16]
            apart = np.abs(one.thumbnails[mine].astype(np.int16) - other.thumbnails[theirs]).mean(1)
            close = apart <= DIFFERENCE
            found += zip(mine[close].tolist(), theirs[close].tolist(), strict=True)
    return found, False


def _candidates(
    hashes: NDArray[np.uint64],
    others: NDArray[np.uint64],
    orders: list[NDArray[np.int64]],
    ranks: list[NDArray[np.uint64]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in `hashes` and in `others` of which at most `BITS` differ, in the order of the first, then the second.

    Of BITS + 1 bands one at least is equal then, and where equal ones lie in the order of a band is quickly found.
    orders, ranks: of each band, the order of `others` by it, and its values in that order.
    """
    mine = [_band(hashes, start) for start in STARTS]
    low = [np.searchsorted(rank, band) for rank, band in zip(ranks, mine, strict=True)]
    counts = [np.searchsorted(rank, band, "right") - at for rank, band, at in zip(ranks, mine, low, strict=True)]
    if sum(int(count.sum()) for count in counts) * DENSE > len(hashes) * len(others):
        i, j = np.nonzero(np.bitwise_count(hashes[:, None] ^ others[None]) <= BITS)
        return i, j
    keys = []
    for order, at, count in zip(orders, low, counts, strict=True):
        i = np.repeat(np.arange(len(hashes)), count)
        within = np.arange(len(i)) - np.repeat(count.cumsum() - count, count)
        j = order[np.repeat(at, count) + within]
        near = np.bitwise_count(hashes[i] ^ others[j]) <= BITS
        keys.append(i[near] * len(others) + j[near])
    i, j = np.divmod(np.unique(np.concatenate(keys)), max(1, len(others)))
    return i, j


def _band(hashes: NDArray[np.uint64], start: int) -> NDArray[np.uint64]:
    """`WIDTH` bits of each hash, fewer at the end."""
    return (hashes >> np.uint64(start)) & np.uint64((1 << WIDTH) - 1)
