"""Several devices: each process takes every n-th batch of the same seeded order, so any task's loader will do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader


def rank() -> int:
    """Number of this process among those of the machine; Lightning sets it for those that it starts."""
    return int(os.environ.get("LOCAL_RANK", "0"))


class Share:
    """Batches `rank`, `rank + world`, ... of a loader; a last round that is not complete is left out."""

    def __init__(self, loader: DataLoader[Any], rank: int, world: int):
        self.loader, self.rank, self.world = loader, rank, world
        self.sampler = loader.sampler
        """Lightning tells it the epoch."""

    def __len__(self) -> int:
        return len(self.loader) // self.world

    def __iter__(self) -> Iterator[Any]:
        for i, batch in enumerate(self.loader):
            if i >= len(self) * self.world:
                return
            if i % self.world == self.rank:
                yield batch
