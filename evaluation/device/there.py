"""What candidates take on the device that `compare.budget` names: measured where they were there, else estimated.

An estimate is corrected by how far off it is for candidates of the same comparison that were measured there, such as
the base, and has an interval as wide as the largest error that was seen of such estimates (docs/choice.md). A limit
counts its upper end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from core import devices
from core.devices import Measured, Profile
from evaluation import timing
from evaluation.device import estimate
from evaluation.timing import Ratio

ERROR = 1.8
"""An estimate may be so many times too small or too large: the largest error that was seen, rounded up, of the sample's
candidates on the machine that it was made for (docs/choice.md)."""
CORRECTED = 1.4
"""Likewise of one that is corrected by a candidate that was measured there."""
Faster = Callable[[dict[str, Any], dict[str, Any]], Ratio]


def mark(
    rows: Sequence[dict[str, Any]], timed: Mapping[str, Any], files: Mapping[str, Mapping[str, str]], there: Profile
) -> dict[str, Any]:
    """Set `device` of each row: `name`, `how` (measured or estimated), `ms` with `low` and `high`, `estimated_ms`, and
    `speed` against the first row (`timing.Ratio`), all at batch 1 on one thread.

    timed: `timing.json`. files: candidate -> `devices.files`. Returns: what is told of the device and its estimates.
    """
    names = [f"{row['variant']}-{row['precision']}" for row in rows]
    measured = {name: found for name in names if (found := there.models.get(devices.key(files[name])))}
    guessed = {name: estimate.milliseconds(timed["candidates"][name], timed["host_ms"], there) for name in names}
    off = {name: math.log(found.ms / guessed[name]) for name, found in measured.items()}
    correction = math.exp(sum(off.values()) / len(off)) if off else 1.0
    seen = max((math.exp(abs(each - math.log(correction))) for each in off.values()), default=1.0)
    error = max(CORRECTED, seen) if off else ERROR
    for row, name in zip(rows, names, strict=True):
        row["device"] = {"name": there.name, "estimated_ms": guessed[name] * correction}
        row["device"] |= _figures(measured.get(name), guessed[name] * correction, error)
    faster = faster_of(measured)
    for row in rows:
        row["device"]["speed"] = faster(rows[0], row).as_json()
    return {
        **{key: getattr(there, key) for key in ("name", "cpu", "architecture", "onnxruntime", "measured")},
        "correction": correction,
        "error": error,
        "references": sorted(measured),
        "off": {name: math.exp(-each) for name, each in off.items()},
    }


def _figures(found: Measured | None, guessed: float, error: float) -> dict[str, Any]:
    if found is None:
        return {"how": "estimated", "ms": guessed, "low": guessed / error, "high": guessed * error}
    return {"how": "measured", "ms": found.ms, "low": found.low, "high": found.high}


def faster_of(measured: Mapping[str, Measured]) -> Faster:
    """Compares the times of any two rows that are marked: those of one session block by block, others by how well each
    is known, as if their errors had nothing in common."""

    def faster(one: dict[str, Any], other: dict[str, Any]) -> Ratio:
        if one is other:
            return Ratio(1.0, 1.0, 1.0)
        first, second = (measured.get(f"{row['variant']}-{row['precision']}") for row in (one, other))
        if first is not None and second is not None and first.session == second.session:
            return timing.ratio_of_blocks(np.array(first.blocks), np.array(second.blocks))
        middle = math.log(one["device"]["ms"] / other["device"]["ms"])
        half = math.hypot(*(math.log(row["device"]["high"] / row["device"]["ms"]) for row in (one, other)))
        return Ratio(math.exp(middle), math.exp(middle - half), math.exp(middle + half))

    return faster


def comparing(files: Mapping[str, Mapping[str, str]], there: Profile) -> Faster:
    """`faster_of` what a device has measured of these candidates."""
    found = {name: there.models.get(devices.key(digests)) for name, digests in files.items()}
    return faster_of({name: each for name, each in found.items() if each is not None})
