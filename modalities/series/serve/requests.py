"""Histories of requests over HTTP, for the role `serve` of tasks on numbers over time: limits, checks, and figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.task import Limits, Tensor
from modalities.series.inputs.histories import SEPARATORS, item, parse
from modalities.series.inputs.windows import Floats
from modalities.series.limits import LIMITS, VALUES

__all__ = ["LIMITS", "item"]  # of the role

RAW = {"text/csv": "history"}
INPUTS = (Tensor("history", "FP32", (-1, -1, -1), also=("FP64",)),)
"""(histories, steps, values), the newest step last."""
History = str | list[list[float]] | dict[str, list[float]]


def of_request(given: History, values: Sequence[str], window: int, limits: Limits) -> Floats:
    """(window, values) of a CSV, of rows, or of columns by name. Raises: DataError."""
    if isinstance(given, str):
        within(1 + sum(map(given.count, f"\n{SEPARATORS}")), limits)
        return parse(given, values, window, "history")
    if isinstance(given, dict):
        if lacking := [name for name in values if name not in given]:
            raise DataError(f"history: has no column {lacking[0]!r}, expected {list(values)}")
        if len({len(given[name]) for name in values}) > 1:
            raise DataError("history: its columns differ in length")
        given = [list(row) for row in zip(*(given[name] for name in values), strict=True)]
    if any(len(row) != len(values) for row in given):
        raise DataError(f"history: expected {len(values)} numbers a row, {list(values)}")
    return of_array(np.array(given, np.float64).reshape(len(given), len(values)), values, window, limits)


def of_array(rows: NDArray[np.float64], values: Sequence[str], window: int, limits: Limits) -> Floats:
    """The newest (window, values) of (steps, values). Raises: DataError."""
    within(rows.size, limits)
    if rows.shape[1] != len(values) or len(rows) < window:
        wanted = f"at least {window} steps of {len(values)} values"
        raise DataError(f"history: has {len(rows)} steps of {rows.shape[1]} values, expected {wanted}")
    with np.errstate(over="ignore"):
        found = rows[-window:].astype(np.float32)
    if not np.isfinite(found).all():
        step, value = np.argwhere(~np.isfinite(found))[0]
        raise DataError(f"history: {values[value]} of step {step + 1} is no finite number of 32 bits")
    return found


def within(count: int, limits: Limits) -> None:
    if count > limits[VALUES.name]:
        raise DataError(f"history: has {count} values, expected at most {limits[VALUES.name]}")


def features(item: Floats) -> dict[str, float]:
    """Mean, deviation and newest of each value."""
    told = {"mean": item.mean(0), "deviation": item.std(0), "newest": item[-1]}
    return {f"{name} of value {i + 1}": float(x) for name, each in told.items() for i, x in enumerate(each)}


def size(item: Floats) -> int:
    """See `core.task.Serve`."""
    return item.nbytes
