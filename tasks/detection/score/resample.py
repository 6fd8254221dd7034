"""COCO's average precision of resampled images, without matching the boxes again.

pycocotools matches boxes image by image, so a bootstrap resample only changes how often each image counts: every
detection weighs as often as its image was drawn. Un-resampled (all weights 1) it is pycocotools' `accumulate`
(https://github.com/ppwwyyxx/cocoapi/blob/master/PythonAPI/pycocotools/cocoeval.py).

Shapes: B resamples, I images, K classes, T IoU thresholds, D detections of one class over all images, P of them
that matter, R recall thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOGETHER = 10_000
"""Numbers of each of some arrays at most, so that they stay in the cache."""


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
    """(B, T, K) mean of the interpolated precision over `recalls` (R,); nan for a class without boxes.

    weights: (B, I) how often each image counts, whole numbers.
    """
    return np.stack([_one_class(one, weights, recalls) for one in classes], 2)


def _one_class(one: Matches, weights: NDArray[np.float64], recalls: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, T). Precision is looked at where there is a hit at any threshold, of which there are few: between two of them
    it only falls. Counts are whole numbers, and so are their sums: exact in whatever order they are made."""
    wanted = (one.boxes * weights).sum(1)
    result = np.full((len(weights), len(one.hit)), np.nan)
    asked = np.flatnonzero(wanted)
    result[asked] = 0.0
    places = np.flatnonzero((one.hit | ~one.counted).any(0))
    if len(places):
        together = max(1, TOGETHER // max(len(one.image), len(one.hit) * len(places)))
        for first in range(0, len(asked), together):
            rows = asked[first : first + together]
            result[rows] = _interpolated(one, places, weights[rows], wanted[rows], recalls)
    return result


def _interpolated(
    one: Matches,
    places: NDArray[np.int64],
    weights: NDArray[np.float64],
    wanted: NDArray[np.float64],
    recalls: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(B, T). places: (P,) detections that are hits or ignored; wanted: (B,) boxes to be found, at least one."""
    weight = weights[:, one.image]
    counted, own = np.cumsum(weight, 1)[:, None, places], weight[:, None, places]
    hits = np.cumsum(own * (one.hit & one.counted)[:, places], 2)
    if not one.counted.all():
        counted = counted - np.cumsum(own * ~one.counted[:, places], 2)
    precision = hits / (counted + np.spacing(1))
    precision = np.maximum.accumulate(precision[..., ::-1], 2)[..., ::-1].reshape(-1, len(places))
    # The first place at which each recall is reached: in one search over all rows, each above the one before it.
    needed = np.stack([np.searchsorted(np.arange(most + 1) / most, recalls, side="left") for most in wanted])
    above = (np.arange(len(precision)) * (wanted.max() + hits.max() + 1))[:, None]
    keys = hits.reshape(precision.shape) + above
    found = np.searchsorted(keys.ravel(), (needed.repeat(len(one.hit), 0) + above).ravel(), side="left")
    at = found.reshape(len(precision), -1) - np.arange(len(precision))[:, None] * len(places)
    reached = (at < len(places)).sum(1)
    values = np.take_along_axis(precision, np.minimum(at, len(places) - 1), 1)
    total = np.zeros(len(precision))
    for count in np.unique(reached):  # rows of one length at a time: they are added up as each alone is
        alike = reached == count
        total[alike] = np.ascontiguousarray(values[alike, :count]).sum(1)
    return (total / len(recalls)).reshape(hits.shape[:2])


@dataclass(frozen=True)
class Resampled:
    """`map`, `map50` and `map75` of images that count several times; 0.0 where there is nothing to find."""

    classes: list[Matches]
    recalls: NDArray[np.float64]

    def __call__(self, weights: NDArray[np.float64]) -> dict[str, float]:
        """weights: (I,)."""
        return {name: values[0] for name, values in self.many(weights[None]).items()}

    def many(self, weights: NDArray[np.float64]) -> dict[str, list[float]]:
        """weights: (B, I); a value for each."""
        found: dict[str, list[float]] = {name: [] for name in ("map", "map50", "map75")}
        for precision in average_precision(self.classes, weights, self.recalls):
            for name, part in zip(found, (precision, precision[:1], precision[5:6]), strict=True):
                found[name].append(float(np.nanmean(part)) if np.isfinite(part).any() else 0.0)
        return found
