"""Candidates of tests as rows of a comparison, and clocks that tell what each of them takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluation import candidates, gate, timing
from evaluation.timing import Ratio

EXACT = {"value": 1.0, "low": 1.0, "high": 1.0, "differs": False, "noisy": False}


def row(name: str, quality: float, latency: float, size: float, precision: str = "fp32") -> dict[str, Any]:
    return {
        "variant": name,
        "precision": precision,
        "quality": quality,
        "interval": [quality, quality],
        "test": quality - 0.01,
        "test_interval": [quality - 0.02, quality],
        "latency_ms": latency,
        "p99_ms": latency,
        "per_second": 1.0,
        "all_cores_ms": latency / 2,
        **dict.fromkeys(("speed", "speed_8", "speed_all_cores"), EXACT),
        "size_mb": size,
        "memory_mb": 1.0,
        "operators": {"Conv": {"ms": latency / 2, "macs": 0, "bytes": 0}},
        "parameters": 4_650_000,
        "zeros": 0.0,
        "macs": 999_600,
        "front": False,
    }


def faster(one: dict[str, Any], other: dict[str, Any]) -> Ratio:
    """As a clock that is never wrong says it of `latency_ms`."""
    return timing.ratio(*(np.full(timing.BLOCKS, each["latency_ms"]) for each in (one, other)))


def chosen(rows: Sequence[dict[str, Any]], budget: Any, better: Any = "higher") -> dict[str, Any] | None:
    """The gate's choice where quality is known exactly: every resample is what was seen."""
    candidates.mark_losses(
        rows, [dict.fromkeys(("bootstrap", "jackknife"), [each["quality"]] * 3) for each in rows], better
    )
    for each in rows:
        each["speed"] = faster(rows[0], each).as_json()
    return gate.choose(rows, budget, better, faster)
