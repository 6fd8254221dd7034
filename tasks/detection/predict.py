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
from PIL import Image, UnidentifiedImageError

from core.errors import DataError, ModelError
from core.files import read_json
from core.onnx_session import CPU, session
from modalities.images.inputs.canonical import read_split
from modalities.images.inputs.decode import FORMATS, decode, fit

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
    score: smallest score of a box, at least that of the graph, which is the default.
    Raises: ModelError when the folder holds no usable model.
    """

    def __init__(self, folder: Path, threads: int = 0, provider: str = CPU, score: float = 0.0):
        self.settings = _settings(Path(folder) / "model.json")
        self.session = session(Path(folder) / f"{GRAPH}.onnx", threads, provider)
        height, width = self.settings["image_size"]
        self.size = (int(height), int(width))
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

    def detect(self, pictures: Sequence[Picture]) -> list[Found]:
        """At most `max_detections` boxes of each picture, computed as one batch of at least one."""
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


def inputs(dataset: Path, split: str, limit: int | None = None) -> list[Path]:
    """Paths of a split's images in the order of its JSON file, the first `limit`."""
    records, _ = read_split(dataset, split)
    return [record["file"] for record in records[:limit]]


def network_input(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Images (height, width, 3) of one size -> the graph's `images` (B, 3, height, width), raw RGB 0-255."""
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2), np.float32)


def _settings(path: Path) -> dict[str, Any]:
    """`model.json`, checked. Raises: ModelError."""
    try:
        settings = read_json(path)
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; expected a model folder made by `export` or `quantize`") from None
    except ValueError as error:
        raise ModelError(f"{path} is no JSON ({error}); make the model folder again") from None
    if not isinstance(settings, dict) or (settings.get("task"), settings.get("format")) != ("detection", FORMAT):
        raise ModelError(f"{path}: expected task 'detection', format {FORMAT}; make the model folder again")
    if missing := [key for key in ("image_size", "classes", "max_detections") if key not in settings]:
        raise ModelError(f"{path} lacks {missing}; make the model folder again")
    return settings


def pixels(value: Any, name: str, most: int | None = None) -> NDArray[np.uint8]:
    """An input of the predictor as (height, width, 3) RGB. name: what an error calls it; most: pixels, see `decode`.

    Raises: DataError when it is no image, or not a whole one.
    """
    if isinstance(value, np.ndarray):
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3 or 0 in value.shape:
            raise DataError(f"{name}: expected a uint8 array (height, width, 3), found {value.dtype} {value.shape}")
        return value
    if not isinstance(value, str | Path | bytes):
        raise DataError(f"{name}: expected a path, bytes or an array, found {type(value).__name__}")
    what = "these bytes" if isinstance(value, bytes) else str(value)
    try:
        return decode(value, most)
    except FileNotFoundError:
        raise DataError(f"{name}: {what} does not exist") from None
    except UnidentifiedImageError:
        raise DataError(
            f"{name}: {what} cannot be read as an image: neither of {', '.join(FORMATS)}, or damaged at its beginning"
        ) from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if most is not None and isinstance(error, Image.DecompressionBombError):  # Pillow tells its own limit
            reason = f"{reason.split(',')[0]}; expected at most {most} pixels"
        raise DataError(f"{name}: {what} cannot be read as an image: {reason}") from None
