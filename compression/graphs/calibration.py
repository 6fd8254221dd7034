"""Samples that tell the ranges of a graph's activations: which they are, how they are fed, and which of them are no
use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression.graphs.layers import values
from core.errors import ModelError

Feed = dict[str, NDArray[Any]]
"""Inputs of a graph by name."""
CHUNK = 8
"""Calibration samples held at a time: calibration keeps all intermediate outputs of a chunk in memory."""
METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
"""How ranges of activations come from calibration -> ONNX Runtime's name."""


def sample(total: int, count: int, seed: int) -> list[int]:
    """Which `count` of `total` samples calibrate: a seeded choice in rising order, and a whole number of chunks where
    there are so many."""
    chosen = np.random.default_rng(seed).permutation(total)[:count]
    return sorted(whole(chosen.tolist()))


def whole(samples: Sequence[Any]) -> list[Any]:
    """The first of them, a whole number of chunks where there are so many."""
    return list(samples[: len(samples) // CHUNK * CHUNK or len(samples)])


class Feeds:
    """Feeds samples to ONNX Runtime's calibration one by one: its `CalibrationDataReader`."""

    def __init__(self, samples: Sequence[Any], feed: Callable[[Any], Feed] = lambda sample: sample):
        self.samples, self.feed = samples, feed
        self.rest: Iterator[Any] = iter(samples)

    def __len__(self) -> int:
        return len(self.samples)

    def get_next(self) -> Feed | None:
        sample = next(self.rest, None)
        return None if sample is None else self.feed(sample)

    def set_range(self, start_index: int, end_index: int) -> None:
        self.rest = iter(self.samples[start_index:end_index])


def given(samples: Sequence[Any], feed: Callable[[Any], Feed]) -> list[Any]:
    """The samples whose inputs are finite: what ONNX Runtime takes for the range of others hangs on the processor.

    Raises: ModelError when there is none.
    """
    return _some("what is given to it", samples, [sample for sample in samples if _finite(feed(sample))])


def sound(graph: Path, samples: Sequence[Any], feed: Callable[[Any], Feed]) -> list[Any]:
    """The samples on which every layer of an fp32 graph gives finite numbers: one that does not has no range.

    Raises: ModelError when there is none.
    """
    inside = values(graph, (feed(sample) for sample in samples))
    kept = [sample for sample, tensors in zip(samples, inside, strict=True) if _finite(tensors)]
    return _some(f"{graph}: what its layers give", samples, kept)


def _finite(tensors: Feed) -> bool:
    return all(np.isfinite(tensor).all() for tensor in tensors.values() if np.issubdtype(tensor.dtype, np.floating))


def _some(what: str, samples: Sequence[Any], kept: list[Any]) -> list[Any]:
    """Those that are kept, a whole number of chunks where one had to go."""
    if not kept:
        raise ModelError(
            f"{what} is not finite on each of {len(samples)} calibration samples; the training of this model went "
            "wrong, or its data hold what is no number"
        )
    return list(samples) if len(kept) == len(samples) else whole(kept)
