"""What a model would take on a device where it never was, from the kernels that it runs here and what such kernels took
there.

    milliseconds = sum of runs x time of such a kernel there
                 + runs of graphs x time of a call of ONNX Runtime there
                 + (time outside of graphs here + time of unknown kernels here) x Python there / Python here

The time of a kernel is read off the sizes that were measured of its kind: of those that compute, seconds a
multiply-add, of others seconds a byte, weighted by how near their sizes are, as logarithms (Shepard 1968,
https://doi.org/10.1145/800186.810616). How often each graph of a model is run in a call, this machine has counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from core import kinds
from core.devices import Kernel, Profile

POWER = 3
"""Of the distance."""
SMOOTH = 1e-6
"""Added to the square of a distance, which may be 0."""


def milliseconds(timed: Mapping[str, Any], host_ms: float, there: Profile) -> float:
    """Of one call at batch 1 on one thread.

    timed: what `timing.json` has of a candidate: `kernels` (`operators.kernels`) and `parts`. host_ms: `micro.host` of
    this machine. there: see `devices.whole`.
    """
    parts, other = timed["parts"], 0.0
    total = sum(parts["runs"].values()) * there.call_us
    for each in timed["kernels"]:
        if each["kind"] == kinds.UNKNOWN:
            other += each["ms"]
        else:
            total += each["runs"] * kernel_us(there.kernels[each["kind"]], each["macs"], each["bytes"])
    return total / 1000 + (parts["outside_ms"] + other) * there.host_ms / host_ms


def kernel_us(points: Sequence[Kernel], macs: float, moved: float) -> float:
    """Microseconds of a kernel. points: what was measured of its kind; macs, moved: multiply-adds, and bytes."""
    own, weights, total = max(macs or moved, 1.0), 0.0, 0.0
    for point in points:
        size = point.macs or point.bytes
        distance = math.log(own / size) ** 2 + math.log(max(moved, 1.0) / point.bytes) ** 2
        weight = (distance + SMOOTH) ** (-POWER / 2)
        weights += weight
        total += weight * math.log(point.us / size)
    return own * math.exp(total / weights)
