"""Role `serve` of series: histories over HTTP in, quantiles of what follows or classes out; numpy and pydantic."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from core.errors import DataError
from core.task import Job, Limits, Tensor
from modalities.series.inputs.windows import Floats
from modalities.series.limits import LIMITS, VALUES
from tasks.series.predict import Predictor

__all__ = ["LIMITS"]  # of the role

VERB = "forecast"
PIPELINE_TAG = "time-series-forecasting"
RAW = {"text/csv": "history"}
INPUTS = (Tensor("history", "FP32", (-1, -1, -1), also=("FP64",)),)
"""(histories, steps, values), the newest step last."""
OUTPUTS = (Tensor("told", "FP32", (-1, -1, -1, -1)),)
"""Of each history quantiles (horizon, targets, quantiles), or probabilities (steps, classes, 1)."""
OPTIONS: dict[str, str] = {}
MAX_BATCH = 32
CLOSE = 0.02
"""By which a number may differ on another CPU, whose int8 kernels round otherwise, as a share of the largest."""


class Request(BaseModel):
    """A history, the newest step last."""

    model_config = ConfigDict(strict=True, extra="forbid")

    history: str | list[list[float]] | dict[str, list[float]] = Field(
        description="A CSV as text (with a header, or the model's values in order), rows of numbers, or columns by name"
    )


class Response(BaseModel):
    """Of forecasts, by target and quantile, the next values; of labels the likeliest class of each step, and all."""

    forecast: dict[str, dict[str, list[float]]] | None = None
    labels: list[str] | None = None
    probabilities: list[dict[str, float]] | None = None


def about(predictor: Predictor) -> dict[str, Any]:
    """See `core.task.Serve`."""
    names = ("kind", "values", "targets", "classes", "window", "horizon", "season")
    return {name: predictor.layout[name] for name in names} | {"quantiles": predictor.quantiles}


def plain(request: Request, predictor: Predictor, limits: Limits) -> Job:
    """See `core.task.Serve`."""
    given = request.history
    if isinstance(given, str):
        _within(given.count("\n") + sum(map(given.count, ",;\t")) + 1, limits)
        return Job([predictor.history(given, "history")], None, predictor)
    if isinstance(given, dict):
        if lacking := [name for name in predictor.values if name not in given]:
            raise DataError(f"history: has no column {lacking[0]!r}, expected {predictor.values}")
        if len({len(given[name]) for name in predictor.values}) > 1:
            raise DataError("history: its columns differ in length")
        given = [list(row) for row in zip(*(given[name] for name in predictor.values), strict=True)]
    if any(len(row) != len(predictor.values) for row in given):
        raise DataError(f"history: expected {len(predictor.values)} numbers a row, {predictor.values}")
    rows = np.array(given, np.float64).reshape(len(given), len(predictor.values))
    return Job([_window(rows, predictor, limits)], None, predictor)


def answer(job: Job, results: Sequence[Any]) -> dict[str, Any]:
    """See `core.task.Serve`."""
    ((found,), predictor) = results, job.state
    if "quantiles" in found:
        told, levels = np.array(found["quantiles"]), predictor.quantiles
        by_target = {
            target: {f"{level:g}": told[:, v, q].tolist() for q, level in enumerate(levels)}
            for v, target in enumerate(predictor.layout["targets"])
        }
        return {"forecast": by_target}
    classes, shares = predictor.layout["classes"], found["probabilities"]
    every = [dict(zip(classes, row, strict=True)) for row in shares]
    return {"labels": [max(row, key=lambda name: row[name]) for row in every], "probabilities": every}


def tensors(
    inputs: Mapping[str, NDArray[Any]], parameters: Mapping[str, Any], predictor: Predictor, limits: Limits
) -> Job:
    """See `core.task.Serve`."""
    if set(inputs) != {"history"}:
        raise DataError(f"inputs: expected 'history', found {sorted(inputs)}")
    given = inputs["history"]
    if not 1 <= len(given) <= limits["items"]:
        raise DataError(f"history: has {len(given)} histories, expected 1 to {limits['items']}")
    _within(given.size, limits)
    return Job([_window(each, predictor, limits) for each in given], None, predictor)


def outputs(job: Job, results: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """See `core.task.Serve`."""
    rows = [found.get("quantiles") or [[[p] for p in row] for row in found["probabilities"]] for found in results]
    return {"told": np.array(rows, np.float32)}


def run(predictor: Predictor, items: Sequence[Floats], options: Any) -> list[Any]:
    """See `core.task.Serve`."""
    return predictor.describe(predictor.told(items))


def differs(expected: Any, found: Any) -> str | None:
    """See `core.task.Serve`."""
    (key,) = expected
    if set(found) != {key} or np.shape(found[key]) != np.shape(expected[key]):
        return f"found {sorted(found)} {np.shape(found.get(key, []))}, expected {key} {np.shape(expected[key])}"
    mine, other = np.array(expected[key]), np.array(found[key])
    apart = np.abs(mine - other) / max(float(np.abs(mine).max()), 1e-9)
    return None if apart.max() <= CLOSE else f"{key} differ by {apart.max():.2g} of the largest, expected {CLOSE}"


def item(value: str) -> Floats:
    """The history of a text that has the model's values alone."""
    rows = [row for row in csv.reader(io.StringIO(value, newline="")) if row]
    return np.array(rows[1:], np.float32)


def features(item: Floats) -> dict[str, float]:
    """Mean, deviation and newest of each value."""
    told = {"mean": item.mean(0), "deviation": item.std(0), "newest": item[-1]}
    return {f"{name} of value {i + 1}": float(x) for name, each in told.items() for i, x in enumerate(each)}


def size(item: Floats) -> int:
    """See `core.task.Serve`."""
    return item.nbytes


def _within(count: int, limits: Limits) -> None:
    if count > limits[VALUES.name]:
        raise DataError(f"history: has {count} values, expected at most {limits[VALUES.name]}")


def _window(rows: NDArray[np.float64], predictor: Predictor, limits: Limits) -> Floats:
    """The newest (window, values) of (steps, values). Raises: DataError."""
    _within(rows.size, limits)
    if rows.shape[1] != len(predictor.values) or len(rows) < predictor.window:
        wanted = f"at least {predictor.window} steps of {len(predictor.values)} values"
        raise DataError(f"history: has {len(rows)} steps of {rows.shape[1]} values, expected {wanted}")
    with np.errstate(over="ignore"):
        found = rows[-predictor.window :].astype(np.float32)
    if not np.isfinite(found).all():
        step, value = np.argwhere(~np.isfinite(found))[0]
        raise DataError(f"history: {predictor.values[value]} of step {step + 1} is no finite number of 32 bits")
    return found
