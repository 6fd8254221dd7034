"""What of a call a model's graphs take, and what is Python: measured without the profiler, which adds more to small
kernels than they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, TypedDict

from core import onnx_session
from evaluation import latency


class Parts(TypedDict):
    """Of one call at batch 1."""

    outside_ms: float
    """Reading and scaling of inputs, search, tables: what is in no graph."""
    runs: dict[str, float]
    """Graph -> how often it is run."""


def measure(load: Callable[[], latency.Predict], inputs: Sequence[Any], calls: int) -> Parts:
    """The median of some calls. load: opens the model, here and now."""
    spent: list[tuple[str, float]] = []
    with onnx_session.watched(lambda name, seconds: spent.append((name, seconds))):
        predict = load()
    for number in range(latency.WARMUP):
        predict(latency.batch(inputs, 1, number))
    outside, runs = [], dict[str, float]()
    for number in range(calls):
        spent.clear()
        taken = latency.timed(predict, inputs, 1, number)
        outside.append(taken - sum(seconds for _, seconds in spent))
        for name, _ in spent:
            runs[name] = runs.get(name, 0) + 1 / calls
    return {"outside_ms": 1000 * median(outside), "runs": runs}
