"""Role `predict` of classification: an image in, classes with probabilities out; numpy, Pillow and ONNX Runtime only.

Reads a model folder: `classifier.onnx`, `images` float32 (batch, colours, height, width) raw 0-255 -> `logits` (batch,
classes), `cam` (batch, classes, h, w); and `model.json`.

Probabilities are calibrated: softmax(logits / temperature) (Guo et al. 2017, https://arxiv.org/abs/1706.04599, section
4.2), or the sigmoid with several labels; the temperature is fitted to `val` for each model folder by `calibrate`.

Shapes: B batch, K classes, h and w of a class activation map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.files import write_json
from core.onnx_session import CPU, session
from modalities.images.inputs.canonical import read_split
from modalities.images.inputs.decode import coloured, fit
from modalities.images.predict import calibration, folder as folders
from modalities.images.predict.pictures import inputs, pixels

__all__ = ["Predictor", "calibrate", "inputs"]

TASK, GRAPH, FORMAT = "classification", "classifier", 1
EXAMPLE = "picture.jpg"
"""An input, for the model card."""
TOP = 5
"""Classes that a prediction names; all of them where an image may have several."""
BATCH = 16


@dataclass(frozen=True)
class Found:
    """What was said of one image."""

    probabilities: NDArray[np.float64]
    """(K,)"""
    cam: NDArray[np.float32]
    """(h, w) of the likeliest class: what each place says for it; the mean is its logit."""


class Predictor:
    """Classes of images: `picture` of each, `classify` for all of a batch, `describe` of each.

    folder: a model folder; threads: 0 leaves the choice to ONNX Runtime; provider: an execution provider.
    Raises: ModelError when the folder holds no usable model.
    """

    def __init__(self, folder: Path, threads: int = 0, provider: str = CPU):
        needed = ("image_size", "classes", "multilabel", "temperature", "inputs")
        self.settings = folders.settings(Path(folder), TASK, FORMAT, needed)
        self.session = session(Path(folder) / f"{GRAPH}.onnx", threads, provider)
        height, width = self.settings["image_size"]
        self.size = (int(height), int(width))
        self.colour = "grey" if self.settings["inputs"]["images"]["shape"][1] == 1 else "rgb"
        self.classes, self.multilabel = self.settings["classes"], bool(self.settings["multilabel"])

    def __call__(self, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        """inputs: paths, encoded bytes or uint8 arrays (height, width, 3) RGB, any sizes; one batch.

        Returns: for each, what `describe` makes of it. Raises: DataError for what is no image, naming its position.
        """
        if not inputs:
            return []
        images = [pixels(value, f"input {i}") for i, value in enumerate(inputs)]
        return [self.describe(found) for found in self.classify([self.picture(image) for image in images])]

    def picture(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(height, width, 3) RGB, any size -> (colours, height, width) of the network's input."""
        return np.ascontiguousarray(coloured(fit(image, self.size)[0], self.colour).transpose(2, 0, 1))

    def classify(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Found]:
        """Of each picture, computed as one batch of at least one."""
        logits, cams = self.outputs(pictures)
        probabilities = shares(logits / self.settings["temperature"], self.multilabel)
        return [Found(row, cam[row.argmax()]) for row, cam in zip(probabilities, cams, strict=True)]

    def outputs(self, pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits (B, K) and class activation maps (B, K, h, w)."""
        logits, cams = self.session.run(["logits", "cam"], {"images": np.stack(pictures).astype(np.float32)})
        return np.asarray(logits), np.asarray(cams)

    def describe(self, found: Found) -> dict[str, Any]:
        """As JSON values, see `described`, with `cam`: the rows of the likeliest class's map, where it has places."""
        maps = {} if found.cam.size == 1 else {"cam": found.cam.astype(float).round(3).tolist()}
        return described(found.probabilities, self.classes, self.multilabel) | maps


def shares(logits: NDArray[Any], multilabel: bool) -> NDArray[np.float64]:
    """Probabilities (B, K) of logits: each row's softmax, or with several labels each one's sigmoid."""
    return np.exp(calibration.log_probabilities(logits.astype(np.float64), multilabel))


def described(probabilities: NDArray[np.float64], classes: Sequence[Any], multilabel: bool) -> dict[str, Any]:
    """`label`, `category_id` and `probability` of the likeliest class; the same of the likeliest ones in `classes`, best
    first: `TOP`, or all with several labels. probabilities: (K,)."""
    order = np.argsort(-probabilities, kind="stable")[: None if multilabel else TOP]
    entries = [
        {"label": classes[i]["name"], "category_id": classes[i]["id"], "probability": float(probabilities[i])}
        for i in order.tolist()
    ]
    return {**entries[0], "classes": entries}


def calibrate(folder: Path, dataset: Path, params: Any) -> dict[str, float]:
    """Fit the temperature of the model in `folder` to `val`, and write it into its `model.json`.

    Returns: figures for the log.
    """
    predictor = Predictor(folder)
    records, _ = read_split(dataset, "val")
    order = np.random.default_rng(0).permutation(len(records))  # the split may be sorted by class
    chosen = [records[i] for i in order[: calibration.MOST].tolist()]
    logits = np.concatenate(list(_logits(predictor, [record["file"] for record in chosen])))
    position = {entry["id"]: i for i, entry in enumerate(predictor.classes)}
    targets = np.zeros(logits.shape, bool)
    for row, record in enumerate(chosen):
        targets[row, [position[label] for label in record["whole"].tolist()]] = True
    temperature = calibration.temperature(logits, targets, predictor.multilabel)
    write_json(folder / "model.json", predictor.settings | {"temperature": temperature})
    return {"temperature": temperature}


def _logits(predictor: Predictor, files: list[Path]) -> Iterator[NDArray[np.float32]]:
    for first in range(0, len(files), BATCH):
        batch = [predictor.picture(pixels(file, file.name)) for file in files[first : first + BATCH]]
        yield predictor.outputs(batch)[0]
