"""How many cores this process may use: what it is bound to, and what its container has of the machine's time."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available(cgroup: Path = CGROUP) -> int:
    """At least 1. A share of a core that a container has beyond whole ones counts for nothing.

    cgroup: where the kernel tells a container its own limits: https://docs.kernel.org/admin-guide/cgroup-v2.html
    """
    cores = len(os.sched_getaffinity(0))
    for quota, period in (_two(cgroup), _one(cgroup)):
        if quota > 0 and period > 0:
            cores = min(cores, quota // period)
    return max(1, cores)


def shares(count: int, cgroup: Path = CGROUP) -> list[set[int]]:
    """The cores of this process, in `count` parts that are as equal as may be; none where they cannot be told apart.

    That is where there are fewer than parts, and where a container has a share of the time of all cores: other
    containers would choose the same ones.
    """
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < count or available(cgroup) < len(mine):
        return []
    bounds = [len(mine) * i // count for i in range(count + 1)]
    return [set(mine[low:high]) for low, high in pairwise(bounds)]


def _two(cgroup: Path) -> tuple[int, int]:
    """Microseconds of CPU in each period of so many microseconds; (0, 0) without a limit."""
    with suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        return int(quota), int(period)  # `max` is no number
    return 0, 0


def _one(cgroup: Path) -> tuple[int, int]:
    """Likewise, of version 1."""
    with suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu" / f"cpu.cfs_{name}_us" for name in ("quota", "period"))
        return int(quota.read_text(encoding="ascii")), int(period.read_text(encoding="ascii"))
    return 0, 0
