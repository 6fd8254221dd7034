"""What kernels of each kind, and Python, take on this machine, on one thread.

Two graphs with a few kernels more and less in a row are timed in turns; the difference, over the number of kernels, is
what one takes. Sizes are those of small networks; between them `estimate` interpolates.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core import kinds, onnx_session
from core.devices import Kernel
from evaluation import timing
from evaluation.device import graphs
from evaluation.device.estimate import kernel_us
from evaluation.device.graphs import Size

SHORT, LONG = 1, 5
"""Kernels in a row."""
BUSY_S = 0.15
"""What the measurement of one size takes, about."""
CALLS = (2 * timing.BLOCKS, 400)
"""At least and at most, of each graph."""
_BYTES = [Size(64, rows) for rows in (1, 16, 128, 1024, 8192)]
SIZES: dict[str, list[Size]] = {
    "conv": [
        *(Size(16, 5), Size(16, 16), Size(16, 64), Size(32, 8), Size(32, 40)),
        *(Size(64, 5), Size(64, 20), Size(128, 10)),
    ],
    "pointwise": [
        *(Size(16, 16), Size(16, 64), Size(32, 16), Size(64, 5), Size(64, 40)),
        *(Size(128, 10), Size(256, 5), Size(256, 20), Size(512, 5)),
    ],
    "depthwise": [
        *(Size(16, 16), Size(16, 64), Size(32, 16), Size(64, 40)),
        *(Size(128, 10), Size(256, 5), Size(256, 20), Size(512, 5)),
    ],
    "product": [
        *(Size(16, 1), Size(64, 1), Size(64, 8), Size(128, 1), Size(128, 4), Size(128, 32)),
        *(Size(256, 1), Size(256, 8), Size(512, 1), Size(512, 4), Size(512, 32), Size(1024, 1)),
    ],
    kinds.BATCHED: [Size(32, 1, 4), Size(32, 1, 40), Size(16, 8, 8), Size(32, 24, 8), Size(64, 64, 8)],
    **dict.fromkeys(kinds.MOVING, _BYTES),
}
"""Of a kind in either precision. Channels are multiples of 16, to which ONNX Runtime fills them up: the profile of
a model counts those. Products with one row or a few are those of decoders, which wait for their weights."""
MIXED = (4, 128)
"""Rows and width of small kernels of different kinds."""
SWEPT_BYTES = 4 * 10**6
"""Written before each call: in a network, too, the weights of a kernel have left the nearer caches when it runs again,
and what the kernel before it gave is there."""
WARMUP = 3
CLOCK_S = 2e-8
"""Least time of a kernel: no logarithm of nothing."""
STEPS, HOST_CALLS = 300, 200
"""Of the piece of Python that `host` times."""


def kernels() -> dict[str, list[Kernel]]:
    """Kind -> what one kernel of each size takes."""
    with timing.quiet():
        return {kind: [one(kind, size) for size in SIZES[kind.removesuffix(kinds.INT8)]] for kind in kinds.ALL}


def one(kind: str, size: Size) -> Kernel:
    cost, rows = None, {}
    for length in (SHORT, LONG):
        content, x, cost = graphs.make(kind, size, length)
        rows[length] = (content, x)
    assert cost is not None
    return Kernel(macs=cost.macs, bytes=cost.bytes, us=_microseconds(rows))


def call(known: dict[str, list[Kernel]]) -> float:
    """Microseconds that a run of a graph takes beyond its kernels, as they take among their like: handing over, and
    bringing the code of kernels of different kinds. known: see `kernels`."""
    content, x, row = graphs.mixed(*MIXED)
    taken = 1e6 * _quietest(_seconds({SHORT: (content, x)})[SHORT])
    return max(0.0, taken - sum(kernel_us(known[kind], cost.macs, cost.bytes) for kind, cost in row))


def _microseconds(rows: dict[int, tuple[bytes, np.ndarray]]) -> float:
    """Of one kernel. rows: kernels in a row -> graph and its input."""
    seconds = _seconds(rows)
    # Not the median of the differences: what disturbs a call makes it longer, in either graph.
    difference = _quietest(seconds[LONG]) - _quietest(seconds[SHORT])
    return 1e6 * max(difference / (LONG - SHORT), CLOCK_S)


def _quietest(seconds: timing.Seconds) -> float:
    """Of the blocks of rounds the shortest median: a machine does nothing else for so long, now and then."""
    return float(timing.blocks(seconds).min())


def _seconds(rows: dict[int, tuple[bytes, np.ndarray]]) -> dict[int, timing.Seconds]:
    calls = {}
    with tempfile.TemporaryDirectory(prefix="stillhouse-") as scratch:
        for length, (content, x) in rows.items():
            path = Path(scratch) / f"{length}.onnx"
            path.write_bytes(content)
            calls[str(length)] = _call(onnx_session.session(path, threads=1), x)
    for each in calls.values():
        for number in range(WARMUP):
            each(number)
    longest = max(each(0) for each in calls.values())
    rounds = min(max(round(BUSY_S / 2 / longest), CALLS[0]), CALLS[1])  # at least one a block
    return {int(name): seconds for name, seconds in timing.interleave(calls, rounds, 0, 0).items()}


def _call(opened: Any, x: np.ndarray) -> Callable[[int], float]:
    swept = np.zeros(SWEPT_BYTES, np.uint8)

    def call(number: int) -> float:
        swept.fill(number % 251)
        start = time.perf_counter()
        opened.run(None, {"x": x})
        return time.perf_counter() - start

    return call


def host() -> float:
    """Milliseconds of a fixed piece of Python and small numpy: what is in no graph goes by it."""

    def work(number: int) -> float:
        start = time.perf_counter()
        found: dict[int, float] = {}
        x = np.arange(64, dtype=np.float32)
        for step in range(STEPS):
            x = np.sort(x * np.float32(0.5) + np.float32(step))
            found[step % 17] = found.get(step % 17, 0.0) + float(x[0])
        return time.perf_counter() - start

    return 1000 * _quietest(timing.interleave({"host": work}, HOST_CALLS, 0, 0)["host"])
