"""Role `graphs` of detection: one ONNX graph from raw pixels to boxes, with non-maximum suppression inside.

`detector.onnx`: `images` float32 (batch, 3, height, width) raw RGB 0-255, all three free (height and width multiples of
32) -> `boxes` float32 (found, 4) corners in pixels of the network's input, `scores` float32 (found,), `labels` int64
(found,) index of the class, `images`' index int64 (found,) as `owners`: rows of all images of the batch together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from core.files import write_json
from core.onnx_session import session
from core.task import Graph
from modalities.images.inputs.boxes import overlaps
from modalities.images.inputs.decode import FILL, decode, fit
from modalities.images.predict.pictures import inputs, network_input
from tasks.detection.model.detect import Detector
from tasks.detection.model.folding import fold
from tasks.detection.predict import FORMAT, GRAPH

OUTPUTS = ["boxes", "scores", "labels", "owners"]


def graphs(model: nn.Module, arch: dict[str, Any], params: Any) -> list[Graph]:
    """The detector with its decoding; see the module."""
    height, width = arch["image_size"]
    detector = Detector(fold(model)).eval()
    example = torch.full((2, 3, height, width), float(FILL))
    dynamic = {"images": {0: "batch", 2: "height", 3: "width"}}
    return [Graph(GRAPH, detector, {"images": example}, OUTPUTS, dynamic, {torch.ops.stillhouse.nms.default: _nms})]


def describe(folder: Path, arch: dict[str, Any], assets: dict[str, bytes], params: Any) -> None:
    """Write `model.json`: what `Predictor` needs beside the graph."""
    write_json(
        folder / "model.json",
        {
            "task": "detection",
            "format": FORMAT,
            "graphs": [f"{GRAPH}.onnx"],
            "inputs": {"images": {"dtype": "float32", "shape": ["batch", 3, "height", "width"]}},
            "outputs": {
                "boxes": {"dtype": "float32", "shape": ["found", 4]},
                "scores": {"dtype": "float32", "shape": ["found"]},
                "labels": {"dtype": "int64", "shape": ["found"]},
                "owners": {"dtype": "int64", "shape": ["found"]},
            },
            "limits": {"input_side_multiple_of": 32, "max_detections": arch["max_detections"]},
            "image_size": arch["image_size"],
            "colour": "RGB 0-255, normalised inside the graph",
            "padding": {"value": FILL, "where": "right and bottom"},
            "classes": arch["classes"],
            "score_threshold": arch["score_threshold"],
            "nms_iou": arch["nms_iou"],
            "max_detections": arch["max_detections"],
        },
    )


def parity(model: nn.Module, folder: Path, dataset: Path, params: Any) -> dict[str, float]:
    """Largest difference between torch and ONNX Runtime on images of the validation split.

    `boxes` as a share of the network's longer side; `scores`; and `found`: for a box that only one of the two found,
    how far it is from a threshold (of score or of overlap), since exactly there both are right.
    """
    detector = Detector(model).eval()
    height, width = detector.network.arch["image_size"]
    images = [fit(decode(path), (height, width))[0] for path in inputs(dataset, "val", params.export.samples)]
    opened = session(folder / f"{GRAPH}.onnx", threads=1)
    largest = {"boxes": 0.0, "scores": 0.0, "found": 0.0}
    for first in range(0, len(images), 2):
        batch = network_input(images[first : first + 2])
        with torch.no_grad():
            ours = [value.numpy() for value in detector(torch.from_numpy(batch))]
        theirs = opened.run(OUTPUTS, {"images": batch})
        for name, value in _differences(ours, theirs, detector.score, detector.iou).items():
            largest[name] = max(largest[name], value / (max(height, width) if name == "boxes" else 1))
    return largest


def _differences(ours: list[Any], theirs: list[Any], threshold: float, iou: float) -> dict[str, float]:
    """Pair the boxes of the same image and class by overlap, and compare the pairs; see `parity`."""
    result = {"boxes": 0.0, "scores": 0.0, "found": 0.0}
    for key in {
        *zip(ours[3].tolist(), ours[2].tolist(), strict=True),
        *zip(theirs[3].tolist(), theirs[2].tolist(), strict=True),
    }:
        mine, other = (np.flatnonzero((side[3] == key[0]) & (side[2] == key[1])) for side in (ours, theirs))
        overlap = overlaps(ours[0][mine], theirs[0][other])
        free = set(range(len(other)))
        for row, index in enumerate(mine):
            column = max(free, key=lambda c: overlap[row, c], default=None)
            if column is None or overlap[row, column] < 0.9:
                result["found"] = max(result["found"], _margin(ours[1][index] - threshold, overlap[row], iou))
                continue
            free.discard(column)
            pair = (index, other[column])
            result["boxes"] = max(result["boxes"], float(np.abs(ours[0][pair[0]] - theirs[0][pair[1]]).max()))
            result["scores"] = max(result["scores"], float(abs(ours[1][pair[0]] - theirs[1][pair[1]])))
        for column in free:
            margin = _margin(theirs[1][other[column]] - threshold, overlap[:, column], iou)
            result["found"] = max(result["found"], margin)
    return result


def _margin(score: float, overlaps: Any, iou: float) -> float:
    return float(min(abs(score), np.abs(overlaps - iou).min(initial=np.inf)))


def _nms(boxes: Any, scores: Any, most: int, iou: float, threshold: float) -> Any:
    """Translation of `stillhouse::nms` for the exporter."""
    from onnxscript import opset18 as op

    limits = (op.Constant(value_ints=[most]), op.Constant(value_floats=[iou]), op.Constant(value_floats=[threshold]))
    return op.NonMaxSuppression(boxes, scores, *limits)
