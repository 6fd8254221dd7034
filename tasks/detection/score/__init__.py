"""Role `score` of detection: COCO's mean average precision by pycocotools, without torch.

A reference is {"boxes" (M x 4 corners, pixels), "labels" (M category ids), "crowd" (M bools), "categories" ({"id",
"name"} of the dataset)}; a prediction is what `Predictor` returns for an image.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from modalities.images.inputs.boxes import overlaps
from modalities.images.score import references as truth
from tasks.detection.score import coco, resample

MAIN, TITLE, BETTER = "map", "mAP@[.5:.95]", "higher"
STATS = (  # order of pycocotools' `stats`
    *("map", "map50", "map75", "map_small", "map_medium", "map_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)
ALWAYS = ("map", "map50", "map75")
"""0.0 rather than left out when there is nothing to find."""
CONFUSION_SCORE, CONFUSION_IOU = 0.3, 0.5


def references(dataset: Path, split: str) -> list[dict[str, Any]]:
    """References of a split in the order of its images."""
    return truth.read(dataset, split, "boxes", "labels", "crowd")


def score(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> dict[str, Any]:
    """COCO's twelve numbers (those that are defined), one row for each class, curves and a confusion matrix.

    Sizes: small below 32 x 32, medium below 96 x 96 pixels of the image. No predictions at all score 0.
    """
    return judge(predictions, references, params)[0]


def judge(
    predictions: Sequence[Any], references: Sequence[Any], params: Any
) -> tuple[dict[str, Any], resample.Resampled]:
    """See `core.task.Score`: boxes are matched once for both."""
    entries = truth.categories(references)
    evaluation = coco.evaluate(predictions, references, [entry["id"] for entry in entries])
    return _scores(evaluation, entries, predictions, references), _resampled(evaluation)


def _scores(evaluation: Any, entries: Sequence[Any], predictions: Sequence[Any], references: Sequence[Any]) -> Any:
    precision = coco.accumulate(evaluation)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.summarize()
    stats = dict(zip(STATS, evaluation.stats.tolist(), strict=True))
    metrics = {name: max(value, 0.0) for name, value in stats.items() if value > -1 or name in ALWAYS}
    rows, curves = [], {}
    for k, entry in enumerate(entries):
        own = precision[:, :, k, 0, -1]
        boxes = sum(reference["labels"].count(entry["id"]) for reference in references)
        rows.append(
            {"class": entry["name"], "boxes": boxes, "map": coco.mean(own), "map50": coco.mean(own[0])}
            | {"map75": coco.mean(own[5])}
        )
        curves[entry["name"]] = own[0].clip(min=0).tolist()
    return {
        "metrics": metrics,
        "signature": signature(evaluation.params),
        "tables": {
            "classes": rows,
            "parts": parts(rows, metrics, references),
            "precision_recall": {"recall": evaluation.params.recThrs.tolist(), "precision": curves, "iou": 0.5},
            "confusion": confusion(predictions, references, entries),
        },
    }


def parts(
    classes: Sequence[dict[str, Any]], metrics: dict[str, float], references: Sequence[Any]
) -> list[dict[str, Any]]:
    """mAP of each class and each size of box that there is; `count`: boxes."""
    rows = [{"kind": "class", "name": row["class"], "count": row["boxes"], "value": row["map"]} for row in classes]
    corners = np.array([box for reference in references for box in reference["boxes"]], float).reshape(-1, 4)
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    for name, low, high in (("small", 0, 32**2), ("medium", 32**2, 96**2), ("large", 96**2, np.inf)):
        if f"map_{name}" in metrics:
            count = int(((areas >= low) & (areas < high)).sum())
            rows.append({"kind": "size", "name": name, "count": count, "value": metrics[f"map_{name}"]})
    return [row for row in rows if row["count"]]


def weighted(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> resample.Resampled:
    """`map`, `map50` and `map75` when each image counts so many times; boxes are matched once."""
    return _resampled(coco.evaluate(predictions, references, [entry["id"] for entry in truth.categories(references)]))


def _resampled(evaluation: Any) -> resample.Resampled:
    return resample.Resampled(resample.matches(evaluation), evaluation.params.recThrs)


def signature(settings: Any) -> str:
    """What a number was computed with, e.g. `COCO|iou:bbox|thr:0.50:0.95:0.05|dets:100|pycocotools:2.0.11`."""
    thresholds = settings.iouThrs
    step = thresholds[1] - thresholds[0]
    return (
        f"COCO|iou:{settings.iouType}|thr:{thresholds[0]:.2f}:{thresholds[-1]:.2f}:{step:.2f}"
        f"|recalls:{len(settings.recThrs)}|dets:{settings.maxDets[-1]}|pycocotools:{version('pycocotools')}"
    )


def confusion(
    predictions: Sequence[Any], references: Sequence[Any], entries: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Boxes of score >= 0.3, best first, each with the free reference of largest overlap >= 0.5, whatever its class.

    Returns: `names`, the last of which is the background, and `counts` (row: truth, column: prediction).
    """
    index = {entry["id"]: i for i, entry in enumerate(entries)}
    counts = np.zeros((len(entries) + 1, len(entries) + 1), int)
    for boxes, reference in zip(predictions, references, strict=True):
        truth = np.array(reference["boxes"], float).reshape(-1, 4)
        free = ~np.array(reference["crowd"], bool)
        for box in sorted(boxes, key=lambda entry: -entry["score"]):
            if box["score"] < CONFUSION_SCORE:
                break
            overlap = np.where(free, overlaps(np.array([box["box"]], float), truth)[0], -1.0)
            best = int(overlap.argmax()) if len(overlap) else -1
            hit = best >= 0 and overlap[best] >= CONFUSION_IOU
            counts[index[reference["labels"][best]] if hit else -1, index[box["category_id"]]] += 1
            if hit:
                free[best] = False
        for label in np.array(reference["labels"], int)[free]:
            counts[index[int(label)], -1] += 1
    return {"names": [*(entry["name"] for entry in entries), "background"], "counts": counts.tolist()}
