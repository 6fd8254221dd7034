"""COCO's evaluation of boxes by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MAX_DETECTIONS = [1, 10, 100]
"""COCO's limits of detections an image."""


def evaluate(
    predictions: Sequence[Sequence[Mapping[str, Any]]], references: Sequence[Mapping[str, Any]], categories: list[int]
) -> Any:
    """Run COCOeval for each image and class; `accumulate` and `summarize` are left to the caller.

    predictions: for each image a list of {"box" corners in pixels, "score", "category_id"};
    references: for each image {"boxes", "labels", "crowd"} (see the module), in the same order.
    Returns: pycocotools' `COCOeval` after `evaluate()`; image ids are the positions from 1.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images = [{"id": i + 1} for i in range(len(references))]
    kinds = [{"id": number, "name": str(number)} for number in categories]
    annotations: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for i, (boxes, reference) in enumerate(zip(predictions, references, strict=True)):
        for box, label, crowd in zip(reference["boxes"], reference["labels"], reference["crowd"], strict=True):
            annotations.append(_entry(i + 1, box, int(label)) | {"id": len(annotations) + 1, "iscrowd": int(crowd)})
        for box in boxes:
            entry = _entry(i + 1, box["box"], int(box["category_id"]))
            found.append(entry | {"id": len(found) + 1, "iscrowd": 0, "score": float(box["score"])})
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth, results = COCO(), COCO()
        truth.dataset = {"images": images, "categories": kinds, "annotations": annotations}
        results.dataset = {"images": images, "categories": kinds, "annotations": found}
        truth.createIndex()
        results.createIndex()
        evaluation = COCOeval(truth, results, "bbox")
        evaluation.params.imgIds = [image["id"] for image in images]
        evaluation.params.catIds = list(categories)
        evaluation.params.maxDets = MAX_DETECTIONS
        evaluation.evaluate()
    return evaluation


def accumulate(evaluation: Any) -> np.ndarray[Any, Any]:
    """Precision (T, R, K, A, M): IoU threshold, recall, class, area range, detection limit; -1 where undefined."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    return evaluation.eval["precision"]


def mean(precision: np.ndarray[Any, Any]) -> float:
    """Mean over what is defined (> -1), 0.0 where nothing is."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else 0.0


def _entry(image: int, box: Sequence[float], category: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(value) for value in box)
    width, height = x2 - x1, y2 - y1
    return {"image_id": image, "category_id": category, "bbox": [x1, y1, width, height], "area": width * height}
