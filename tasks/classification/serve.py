"""Role `serve` of classification: images over HTTP in, classes out; numpy, Pillow, pydantic and ONNX Runtime only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from core.task import Job, Limits, Tensor
from modalities.images.predict.cam import heat
from modalities.images.serve.items import Item, features, item, of_files, of_tensors, size
from modalities.images.serve.requests import INPUTS, LIMITS, RAW, ImageRequest
from tasks.classification.predict import Found, Predictor

__all__ = ["INPUTS", "LIMITS", "RAW", "features", "item", "size"]  # of the role

VERB = "classify"
PIPELINE_TAG = "image-classification"
OUTPUTS = (
    Tensor("probabilities", "FP32", (-1, -1)),
    Tensor("labels", "BYTES", (-1,)),
    Tensor("category_ids", "INT64", (-1,)),
)
"""Of each image all probabilities, in the order of the model's classes, and the likeliest class."""
OPTIONS: dict[str, str] = {}
MAX_BATCH = 8
CLOSE = 0.02
"""By which a probability may differ on another CPU, whose int8 kernels round otherwise."""


class Request(ImageRequest):
    """An image, and how much is wanted of its classes."""

    top: int = Field(5, ge=1, le=1000, description="Classes that are named, the likeliest first")
    explain: bool = Field(False, description="Whether to say where the model saw the likeliest class")


class Class(BaseModel):
    label: str
    category_id: int
    probability: float


class Response(BaseModel):
    """Size of the upright image, its classes, and where the likeliest one was seen."""

    width: int
    height: int
    classes: list[Class]
    heat: list[list[float]] | None = Field(
        None, description="With `explain`: rows over the image, 0 to 1, of what speaks for the likeliest class"
    )


class State(NamedTuple):
    predictor: Predictor
    top: int
    explain: bool


def about(predictor: Predictor) -> dict[str, Any]:
    """See `core.task.Serve`."""
    size = {"width": predictor.size[1], "height": predictor.size[0]}
    return {"classes": predictor.classes, "image_size": size, "multilabel": predictor.multilabel}


def plain(request: Request, predictor: Predictor, limits: Limits) -> Job:
    """See `core.task.Serve`."""
    items = of_files([request.image], ["image"], predictor.picture, limits)
    return Job(items, None, State(predictor, request.top, request.explain))


def answer(job: Job, results: Sequence[Found]) -> dict[str, Any]:
    """See `core.task.Serve`."""
    ((predictor, top, explain), (found,), (one,)) = job.state, results, job.items
    values = {"width": one.width, "height": one.height, "classes": predictor.ranked(found, top)}
    return values | ({"heat": heat(found.cam, one.width, one.height).round(3).tolist()} if explain else {})


def tensors(
    inputs: Mapping[str, NDArray[Any]], parameters: Mapping[str, Any], predictor: Predictor, limits: Limits
) -> Job:
    """See `core.task.Serve`."""
    return Job(of_tensors(inputs, predictor.picture, limits), None, State(predictor, 1, False))


def outputs(job: Job, results: Sequence[Found]) -> dict[str, NDArray[Any]]:
    """See `core.task.Serve`."""
    best = [job.state.predictor.ranked(found, 1)[0] for found in results]
    return {
        "probabilities": np.stack([found.probabilities for found in results]).astype(np.float32),
        "labels": np.array([entry["label"].encode() for entry in best], dtype=object),
        "category_ids": np.array([entry["category_id"] for entry in best], dtype=np.int64),
    }


def run(predictor: Predictor, items: Sequence[Item[NDArray[np.uint8]]], options: Any) -> list[Found]:
    """See `core.task.Serve`."""
    return predictor.classify([item.picture for item in items])


def differs(expected: Any, found: Any) -> str | None:
    """See `core.task.Serve`. Only the classes that both name are compared, since close ones may change places."""
    mine, other = ({entry["label"]: entry["probability"] for entry in side["classes"]} for side in (expected, found))
    for label in mine.keys() & other.keys():
        if not abs(mine[label] - other[label]) <= CLOSE:
            return f"class {label!r} has the probability {other[label]:.4f}, expected {mine[label]:.4f}"
    return None if mine.keys() & other.keys() else f"found the classes {sorted(other)}, expected {sorted(mine)}"
