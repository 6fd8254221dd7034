"""Role `predict` of detection: an image in, boxes out; numpy, Pillow and ONNX Runtime only.

Reads a model folder: `detector.onnx` (see `graphs.py`) and `model.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.onnx_session import CPU, session
from modalities.images.inputs.decode import fit
from modalities.images.predict import alone
from modalities.images.predict.folder import settings
from modalities.images.predict.pictures import inputs, pixels

__all__ = ["Predictor", "inputs"]

EXAMPLE = "picture.jpg"
"""An input, for the model card."""
GRAPH = "detector"
FORMAT = 1


@dataclass(frozen=True)
class Picture:
    """An image as the network takes it, and what leads back to the image."""

    pixels: NDArray[np.uint8]
    """(3, height, width) RGB of the network's input."""
    width: int
    """Of the image, pixels; `height` likewise."""
    height: int
    scale: tuple[float, float]
    """Of x and y, network pixels per image pixel."""

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes


@dataclass(frozen=True)
class Found:
    """What was found in one image, best first."""

    boxes: NDArray[np.float64]
    """(found, 4): x1, y1, x2, y2 in pixels of the image."""
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    """Indices of classes."""


class Predictor:
    """Boxes of images: `picture` of each, `detect` for all of a batch, `describe` of each.

    folder: a model folder; threads: 0 leaves the choice to ONNX Runtime; provider: an execution provider;
    score: smallest score of a box, at least that of the graph, which is the default; single:
    pictures are computed one by one, see `modalities.images.predict.alone`.
    Raises: ModelError when the folder holds no usable model.
    """

    def __init__(self, folder: Path, threads: int = 0, provider: str = CPU, score: float = 0.0, single: bool = False):
        self.settings = settings(Path(folder), "detection", FORMAT, ("image_size", "classes", "max_detections"))
        height, width = self.settings["image_size"]
        self.size = (int(height), int(width))
        self.single = single
        self.session = session(Path(folder) / f"{GRAPH}.onnx", threads, provider, alone.fixed(self))
        self.classes = self.settings["classes"]
        self.most = int(self.settings["max_detections"])
        self.score = score

    def __call__(self, inputs: Sequence[Any]) -> list[list[dict[str, Any]]]:
        """inputs: paths, encoded bytes or uint8 arrays (height, width, 3) RGB, any sizes; one batch.

        Returns: for each, at most `max_detections` boxes, best first: {"box": [x1, y1, x2, y2] in pixels of the image,
        "score", "label", "category_id"}.
        Raises: DataError for what is no image, naming its position.
        """
        if not inputs:
            return []
        images = [pixels(value, f"input {i}") for i, value in enumerate(inputs)]
        return [self.describe(found) for found in self.detect([self.picture(image) for image in images])]

    def picture(self, image: NDArray[np.uint8]) -> Picture:
        """image: (height, width, 3) RGB, any size."""
        fitted, scale = fit(image, self.size)
        return Picture(np.ascontiguousarray(fitted.transpose(2, 0, 1)), image.shape[1], image.shape[0], scale)

    @alone.one_by_one
    def detect(self, pictures: Sequence[Picture]) -> list[Found]:
        """At most `max_detections` boxes of each picture, computed as one batch of at least one, or one by one."""
        batch = np.stack([picture.pixels for picture in pictures]).astype(np.float32)
        outputs = self.session.run(["boxes", "scores", "labels", "owners"], {"images": batch})
        boxes, scores, labels, owners = (np.asarray(output) for output in outputs)
        results = []
        for i, picture in enumerate(pictures):
            own = np.flatnonzero((owners == i) & (scores >= self.score))
            own = own[np.argsort(-scores[own], kind="stable")][: self.most]
            limits = np.tile([picture.width, picture.height], 2)
            corners = (boxes[own].astype(np.float64) / np.tile(picture.scale, 2)).clip(0, limits)
            results.append(Found(corners, scores[own], labels[own]))
        return results

    def describe(self, found: Found) -> list[dict[str, Any]]:
        """Boxes as JSON values; see `__call__`."""
        corners, scores, labels = found.boxes.round(3).tolist(), found.scores.tolist(), found.labels.tolist()
        return [
            {"box": box, "score": score, "label": self.classes[label]["name"], "category_id": self.classes[label]["id"]}
            for box, score, label in zip(corners, scores, labels, strict=True)
        ]
