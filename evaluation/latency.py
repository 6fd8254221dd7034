"""Latency and throughput of a predictor on real inputs: everything from raw input to result, as a user waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

BATCHES = (1, 8)


def measure(predict: Callable[[Sequence[Any]], Any], inputs: Sequence[Any], runs: int, warmup: int) -> dict[str, Any]:
    """Time `runs` calls at each batch size, on successive inputs, after `warmup` calls.

    Returns: for `batch_1` and `batch_8` the `median_ms` and `p99_ms` of a call, and `per_second`: inputs per second at
    the median.
    """
    result = {}
    for size in BATCHES:
        batches = [[inputs[(first + i) % len(inputs)] for i in range(size)] for first in range(0, size * runs, size)]
        for batch in batches[:warmup]:
            predict(batch)
        seconds = []
        for batch in batches:
            start = time.perf_counter()
            predict(batch)
            seconds.append(time.perf_counter() - start)
        median = float(np.median(seconds))
        result[f"batch_{size}"] = {
            "median_ms": 1000 * median,
            "p99_ms": 1000 * float(np.percentile(seconds, 99)),
            "per_second": size / median,
        }
    return result
