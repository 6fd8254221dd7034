"""Role `serve` of detection: images over HTTP in, boxes out; numpy, Pillow, pydantic and ONNX Runtime only.

An item is decoded and fitted to the network where the request is read, so that the step that computes a batch does
nothing but stack pixels and run the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.task import Job, Limits, Tensor
from modalities.images.serve.items import Item, features, item, of_files, of_tensors, size
from modalities.images.serve.requests import INPUTS, LIMITS, RAW
from tasks.detection.predict import Found, Picture, Predictor
from tasks.detection.serve.difference import difference
from tasks.detection.serve.messages import Request, Response

__all__ = ["INPUTS", "LIMITS", "RAW", "Request", "Response", "features", "item", "size"]  # of the role

VERB = "detect"
PIPELINE_TAG = "object-detection"
OUTPUTS = (
    Tensor("boxes", "FP32", (-1, 4)),
    Tensor("scores", "FP32", (-1,)),
    Tensor("labels", "BYTES", (-1,)),
    Tensor("category_ids", "INT64", (-1,)),
    Tensor("owners", "INT64", (-1,)),
)
"""Boxes of all images, x1, y1, x2, y2 in pixels, the best of each image first; `owners`: index of the image."""
OPTIONS = {"min_score": "boxes with a smaller score are left out, 0 to 1 (default 0)"}
MAX_BATCH = 8
"""The graph takes as long for a batch as for its images one by one; but between two batches the computing thread waits
for Python, which reads the next requests meanwhile: one by one, a busy server reached 0.6 of a bare loop."""


@dataclass(frozen=True)
class State:
    predictor: Predictor
    min_score: float


def about(predictor: Predictor) -> dict[str, Any]:
    """See `core.task.Serve`."""
    height, width = predictor.size
    return {
        "classes": predictor.classes,
        "image_size": {"width": width, "height": height},
        "score_threshold": predictor.settings.get("score_threshold", 0.0),
        "max_detections": predictor.most,
    }


def plain(request: Request, predictor: Predictor, limits: Limits) -> Job:
    """See `core.task.Serve`."""
    items = of_files([request.image], ["image"], predictor.picture, limits)
    return Job(items, None, State(predictor, request.min_score))


def answer(job: Job, results: Sequence[Found]) -> dict[str, Any]:
    """See `core.task.Serve`."""
    (found,), (one,) = _kept(job, results), job.items
    return {"width": one.width, "height": one.height, "boxes": job.state.predictor.describe(found)}


def tensors(
    inputs: Mapping[str, NDArray[Any]], parameters: Mapping[str, Any], predictor: Predictor, limits: Limits
) -> Job:
    """See `core.task.Serve`."""
    score = _score(parameters.get("min_score", 0.0))
    return Job(of_tensors(inputs, predictor.picture, limits), None, State(predictor, score))


def outputs(job: Job, results: Sequence[Found]) -> dict[str, NDArray[Any]]:
    """See `core.task.Serve`."""
    kept, classes = _kept(job, results), job.state.predictor.classes
    labels = [classes[label] for found in kept for label in found.labels.tolist()]
    return {
        "boxes": np.concatenate([found.boxes for found in kept]).astype(np.float32),
        "scores": np.concatenate([found.scores for found in kept]).astype(np.float32),
        "labels": np.array([entry["name"].encode() for entry in labels], dtype=object),
        "category_ids": np.array([entry["id"] for entry in labels], dtype=np.int64),
        "owners": np.repeat(np.arange(len(kept), dtype=np.int64), [len(found.scores) for found in kept]),
    }


def run(predictor: Predictor, items: Sequence[Item[Picture]], options: Any) -> list[Found]:
    """See `core.task.Serve`."""
    return predictor.detect([item.picture for item in items])


def differs(expected: Any, found: Any) -> str | None:
    """See `core.task.Serve`."""
    return difference(expected, found)


def _kept(job: Job, results: Sequence[Found]) -> list[Found]:
    """Results without the boxes that the request does not want."""
    kept = []
    for found in results:
        count = int((found.scores >= job.state.min_score).sum())  # best first
        kept.append(Found(found.boxes[:count], found.scores[:count], found.labels[:count]))
    return kept


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(f"parameters: min_score is {value!r}, expected a number from 0 to 1")
    return float(value)
