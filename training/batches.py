"""A loader that can go on in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from training import randomness


class Batches:
    """The batches of `loader`; after `go_on` the first epoch starts behind those that were trained on already.

    They are loaded again and dropped. That is exact for loaders that shuffle with torch's global generator, or with
    generators of their own, as those of the tasks do.
    """

    def __init__(self, loader: Any):
        self.loader = loader
        self.sampler = loader.sampler
        """Lightning tells it the epoch."""
        self.begun: dict[str, Any] = {}
        """Random state when the present epoch's iterator was made; that draws a number."""
        self._done, self._loaded, self._then = 0, 0, dict[str, Any]()

    def go_on(self, done: int, loaded: int, then: dict[str, Any]) -> None:
        """Leave out `done` batches next time, load `loaded` more, and then set the random state to `then`."""
        self._done, self._loaded, self._then = done, loaded, then

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        # A generator: Lightning asks for an iterator once more than it reads one, and each draws a number.
        self.begun = randomness.state()
        batches = iter(self.loader)
        done, self._done = self._done, 0
        if done:
            for _ in range(done):
                next(batches)
            following = [next(batches) for _ in range(self._loaded)]
            randomness.restore(self._then)
            yield from following
        yield from batches
