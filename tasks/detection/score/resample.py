"""COCO's average precision of resampled images, without matching the boxes again.

pycocotools matches boxes image by image, so a bootstrap resample only changes how often each image counts: every
detection weighs as often as its image was drawn. Un-resampled (all weights 1) it is pycocotools' `accumulate`
(https://github.com/ppwwyyxx/cocoapi/blob/master/PythonAPI/pycocotools/cocoeval.py).

Shapes: I images, K classes, T IoU thresholds, D detections of one class over all images, R recall thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Matches:
    """Detections of one class, strongest first."""

    image: NDArray[np.int64]
    """(D,) position of its image."""
    hit: NDArray[np.bool_]
    """(T, D) matched a box."""
    counted: NDArray[np.bool_]
    """(T, D) not ignored (a match of a crowd is)."""
    boxes: NDArray[np.float64]
    """(I,) boxes to be found in each image."""


def matches(evaluation: Any) -> list[Matches]:
    """One for each class, from pycocotools' `COCOeval` after `evaluate()`: all areas, the largest limit of boxes."""
    settings = evaluation.params
    count, areas = len(settings.imgIds), len(settings.areaRng)
    found = []
    for k in range(len(settings.catIds)):
        start = k * areas * count  # order of evalImgs: class, area, image; area 0 is "all"
        cells = [(i, cell) for i, cell in enumerate(evaluation.evalImgs[start : start + count]) if cell is not None]
        limit = settings.maxDets[-1]
        scores = np.concatenate([np.asarray(cell["dtScores"][:limit], float) for _, cell in cells] or [np.zeros(0)])
        order = np.argsort(-scores, kind="mergesort")  # as pycocotools, which also decides ties
        shape = (len(settings.iouThrs), 0)
        hit = np.concatenate([cell["dtMatches"][:, :limit] != 0 for _, cell in cells] or [np.zeros(shape, bool)], 1)
        ignored = np.concatenate(
            [cell["dtIgnore"][:, :limit].astype(bool) for _, cell in cells] or [np.zeros(shape, bool)], 1
        )
        image = np.concatenate([np.full(len(c["dtScores"][:limit]), i) for i, c in cells] or [np.zeros(0, int)])
        boxes = np.zeros(count)
        for i, cell in cells:
            boxes[i] = np.count_nonzero(np.asarray(cell["gtIgnore"]) == 0)
        found.append(Matches(image[order].astype(np.int64), hit[:, order], ~ignored[:, order], boxes))
    return found


def average_precision(
    classes: list[Matches], weights: NDArray[np.float64], recalls: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(T, K) mean of the interpolated precision over `recalls` (R,); nan for a class without boxes.

    weights: (I,) how often each image counts.
    """
    columns = [_one_class(one, weights, recalls) for one in classes]
    return np.stack(columns, 1)


def _one_class(one: Matches, weights: NDArray[np.float64], recalls: NDArray[np.float64]) -> NDArray[np.float64]:
    wanted = float((one.boxes * weights).sum())
    if not wanted:
        return np.full(len(one.hit), np.nan)
    weight = weights[one.image]
    hits = np.cumsum((one.hit & one.counted) * weight, 1)
    misses = np.cumsum((~one.hit & one.counted) * weight, 1)
    precision = hits / (hits + misses + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    result = np.zeros(len(one.hit))
    for t, recall in enumerate(hits / wanted):
        at = np.searchsorted(recall, recalls, side="left")
        result[t] = precision[t, at[at < len(recall)]].sum() / len(recalls)
    return result


def metrics(classes: list[Matches], weights: NDArray[np.float64], recalls: NDArray[np.float64]) -> dict[str, float]:
    """`map`, `map50`, `map75`; 0.0 where there is nothing to find. weights: (I,)."""
    precision = average_precision(classes, weights, recalls)
    rows = {"map": precision, "map50": precision[:1], "map75": precision[5:6]}
    return {name: float(np.nanmean(part)) if np.isfinite(part).any() else 0.0 for name, part in rows.items()}
