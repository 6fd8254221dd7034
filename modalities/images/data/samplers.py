"""In which order samples are seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class Shuffled(Sampler[tuple[int, int]]):
    """Yields (epoch, index): each epoch has its own order and its own jitter, whatever worker makes the sample."""

    def __init__(self, length: int, seed: int):
        self.length, self.seed, self.epoch = length, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning, so that a resumed run goes on where it was."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.length)
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
