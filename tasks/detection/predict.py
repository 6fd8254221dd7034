"""Role `predict` of detection: an image in, boxes out; numpy, Pillow and ONNX Runtime only.

Reads a model folder: `detector.onnx` (see `graphs.py`) and `model.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.errors import DataError, ModelError
from core.files import read_json
from core.onnx_session import CPU, session
from tasks.detection.common.coco import read_split
from tasks.detection.common.images import decode, fit

EXAMPLE = "picture.jpg"
"""An input, for the model card."""
GRAPH = "detector"
FORMAT = 1


class Predictor:
    """Boxes of images.

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
        images = [_pixels(value, i) for i, value in enumerate(inputs)]
        fitted = [fit(image, self.size) for image in images]
        batch = network_input([pixels for pixels, _ in fitted])
        outputs = self.session.run(["boxes", "scores", "labels", "owners"], {"images": batch})
        boxes, scores, labels, owners = (np.asarray(output) for output in outputs)
        results = []
        for i, (image, (_, scale)) in enumerate(zip(images, fitted, strict=True)):
            own = np.flatnonzero((owners == i) & (scores >= self.score))
            own = own[np.argsort(-scores[own], kind="stable")][: self.most]
            limits = np.tile([image.shape[1], image.shape[0]], 2)
            corners = (boxes[own].astype(np.float64) / np.tile(scale, 2)).clip(0, limits)
            results.append([self._result(*row) for row in zip(corners, scores[own], labels[own], strict=True)])
        return results

    def _result(self, box: NDArray[np.float64], score: float, label: int) -> dict[str, Any]:
        entry = self.classes[int(label)]
        corners = [round(float(value), 3) for value in box]
        return {"box": corners, "score": float(score), "label": entry["name"], "category_id": entry["id"]}


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


def _pixels(value: Any, position: int) -> NDArray[np.uint8]:
    if isinstance(value, np.ndarray):
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3 or 0 in value.shape:
            raise DataError(
                f"input {position}: expected a uint8 array (height, width, 3), found {value.dtype} {value.shape}"
            )
        return value
    if not isinstance(value, str | Path | bytes):
        raise DataError(f"input {position}: expected a path, bytes or an array, found {type(value).__name__}")
    try:
        return decode(value)
    except FileNotFoundError:
        raise DataError(f"input {position}: {value!s} does not exist") from None
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        name = "these bytes" if isinstance(value, bytes) else str(value)
        raise DataError(f"input {position}: {name} cannot be read as an image: {error}") from None
