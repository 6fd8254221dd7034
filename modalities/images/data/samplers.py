"""In which order samples are seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

WINDOW = 8
"""Shards that are read side by side, so that of a dataset that no memory holds each is read once an epoch."""


class Shuffled(Sampler[tuple[int, int]]):
    """Yields (epoch, index): each epoch has its own order and its own jitter, whatever worker makes the sample.

    Of more than `WINDOW` shards, all pictures of as many, drawn for the epoch, come before those of the next ones.
    """

    def __init__(self, length: int, seed: int, shards: Sequence[str] = ()):
        """shards: the shard of each sample; empty where it does not matter in which order they are read."""
        self.length, self.seed, self.epoch = length, seed, 0
        self.shards, self.shard = np.unique(shards, return_inverse=True)

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning, so that a resumed run goes on where it was."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(self.length)
        if len(self.shards) > WINDOW:
            window = rng.permutation(len(self.shards))[self.shard] // WINDOW
            order = order[np.argsort(window[order], kind="stable")]
        yield from ((self.epoch, int(index)) for index in order)
        self.epoch += 1


class Fixed(Sampler[int]):
    """The same seeded order every time."""

    def __init__(self, length: int, seed: int):
        self.order: list[int] = np.random.default_rng(seed).permutation(length).tolist()

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)
