"""Role `serve`: `POST /v1/line` with a number as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel
from tasks.toy_line.predict import Predictor

from core.errors import DataError
from core.task import Job, Limits, Tensor
from modalities.text.limits import LIMITS

__all__ = ["LIMITS"]  # of the role

VERB, RAW, OPTIONS, MAX_BATCH = "line", {"text/plain": "x"}, {}, 16
INPUTS, OUTPUTS = (Tensor("x", "FP32", (-1,)),), (Tensor("y", "FP32", (-1,)),)


class Request(BaseModel):
    x: str


class Response(BaseModel):
    y: float


def about(predictor: Predictor) -> dict[str, Any]:
    return {}


def plain(request: Request, predictor: Predictor, limits: Limits) -> Job:
    try:
        float(request.x)
    except ValueError:
        raise DataError("x: expected a number") from None
    return Job([request.x], None, None)


def answer(job: Job, results: Sequence[float]) -> dict[str, Any]:
    return {"y": results[0]}


def tensors(inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any], predictor: Any, limits: Limits) -> Job:
    return Job([str(value) for value in inputs["x"].tolist()], None, None)


def outputs(job: Job, results: Sequence[float]) -> dict[str, np.ndarray]:
    return {"y": np.array(results, np.float32)}


def run(predictor: Predictor, items: Sequence[str], options: Any) -> list[float]:
    return predictor(items)


def differs(expected: float, found: float) -> str | None:
    return None if abs(expected - found) < 1e-4 else f"{found}, expected {expected}"


def item(value: str) -> str:
    return value


def features(item: str) -> dict[str, float]:
    return {"x": float(item)}
