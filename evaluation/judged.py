"""The time that a candidate is judged by: on this machine, or on the device that `compare.budget` names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def ms(row: Mapping[str, Any]) -> float:
    """Median milliseconds at batch 1 on one thread."""
    return float(row["device"]["ms"] if row.get("device") else row["latency_ms"])


def at_most_ms(row: Mapping[str, Any]) -> float:
    """What a limit is held against: what was measured, and of an estimate the upper end."""
    found = row.get("device")
    return float(found["high"] if found and found["how"] == "estimated" else ms(row))


def unit(row: Mapping[str, Any]) -> str:
    found = row.get("device")
    if not found:
        return "ms"
    return f"ms on {found['name']}" + (f", estimated as {found['ms']:.3g}" if found["how"] == "estimated" else "")


def speed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Against the reference, see `timing.Ratio`."""
    found: dict[str, Any] = row["device"]["speed"] if row.get("device") else row["speed"]
    return found
