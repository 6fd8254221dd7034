"""Role `serve` of series: histories over HTTP in, quantiles of what follows or classes out; numpy and pydantic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from core.errors import DataError
from core.task import Job, Limits, Tensor
from modalities.series.inputs.windows import Floats
from modalities.series.serve import requests
from modalities.series.serve.requests import INPUTS, LIMITS, RAW, features, item, size
from tasks.series.predict import Predictor

__all__ = ["INPUTS", "LIMITS", "RAW", "features", "item", "size"]  # of the role

VERB = "forecast"
PIPELINE_TAG = "time-series-forecasting"
OUTPUTS = (Tensor("told", "FP32", (-1, -1, -1, -1)),)
"""Of each history quantiles (horizon, targets, quantiles), or probabilities (steps, classes, 1)."""
OPTIONS: dict[str, str] = {}
MAX_BATCH = 32
CLOSE = 0.02
"""By which a number may differ on another CPU, whose int8 kernels round otherwise, as a share of the largest."""


class Request(BaseModel):
    """A history, the newest step last."""

    model_config = ConfigDict(strict=True, extra="forbid")

    history: requests.History = Field(
        description="A CSV as text (with a header, or the model's values in order), rows of numbers, or columns by name"
    )


class Response(BaseModel):
    """Of forecasts by target and quantile the next values; of labels the likeliest of each step, and all shares."""

    forecast: dict[str, dict[str, list[float]]] | None = None
    labels: list[str] | None = None
    probabilities: list[dict[str, float]] | None = None


def about(predictor: Predictor) -> dict[str, Any]:
    """See `core.task.Serve`."""
    names = ("kind", "values", "targets", "classes", "window", "horizon", "season")
    return {name: predictor.layout[name] for name in names} | {"quantiles": predictor.quantiles}


def plain(request: Request, predictor: Predictor, limits: Limits) -> Job:
    """See `core.task.Serve`."""
    history = requests.of_request(request.history, predictor.values, predictor.window, limits)
    return Job([history], None, predictor)


def answer(job: Job, results: Sequence[Any]) -> dict[str, Any]:
    """See `core.task.Serve`."""
    (found,), layout = results, job.state.layout
    if "quantiles" in found:
        told, levels = np.array(found["quantiles"]), [f"{level:g}" for level in job.state.quantiles]
        each = [dict(zip(levels, told[:, v].T.tolist(), strict=True)) for v in range(told.shape[1])]
        return {"forecast": dict(zip(layout["targets"], each, strict=True))}
    every = [dict(zip(layout["classes"], row, strict=True)) for row in found["probabilities"]]
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
    requests.within(given.size, limits)
    items = [requests.of_array(each, predictor.values, predictor.window, limits) for each in given]
    return Job(items, None, predictor)


def outputs(job: Job, results: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """See `core.task.Serve`."""
    told = np.array([found.get("quantiles", found.get("probabilities")) for found in results], np.float32)
    return {"told": told if told.ndim == 4 else told[..., None]}


def run(predictor: Predictor, items: Sequence[Floats], options: Any) -> list[Any]:
    """See `core.task.Serve`."""
    return predictor.predict(items)


def differs(expected: Any, found: Any) -> str | None:
    """See `core.task.Serve`."""
    ((key, wanted),) = expected.items()
    if set(found) != {key} or np.shape(found[key]) != np.shape(wanted):
        return f"found {sorted(found)} {np.shape(found.get(key, []))}, expected {key} {np.shape(wanted)}"
    apart = np.abs(np.array(wanted) - found[key]).max() / max(float(np.abs(wanted).max()), 1e-9)
    return None if apart <= CLOSE else f"{key} differ by {apart:.2g} of the largest number, expected {CLOSE}"
