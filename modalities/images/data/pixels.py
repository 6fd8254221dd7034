"""The pixels of a split's images: decoded once, and kept while all of them fit into memory.

Decoding takes longer than the network's step on a small image; beyond `CACHE_BYTES` images are decoded at each use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.images.inputs.decode import decode
from modalities.images.inputs.shards import Member

CACHE_BYTES = 2 * 10**9


class Pixels:
    """Images by position. records: of `canonical.read_split`."""

    def __init__(self, records: Sequence[dict[str, Any]]):
        self.records = records
        small = sum(record["width"] * record["height"] * 3 for record in records) <= CACHE_BYTES
        self.cache: dict[int, NDArray[np.uint8]] | None = {} if small else None

    @property
    def shards(self) -> list[str]:
        """The shard of each image, "" of one that is a file; empty where all are kept, so that each is read once in
        whatever order."""
        files = [record["file"] for record in self.records] if self.cache is None else []
        return [file.shard.name if isinstance(file, Member) else "" for file in files]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """(height, width, 3) RGB."""
        if self.cache is None:
            return decode(self.records[index]["file"])
        if index not in self.cache:
            self.cache[index] = decode(self.records[index]["file"])
        return self.cache[index]
