"""Role `predict` of classification: an image in, classes with probabilities out; numpy, Pillow and ONNX Runtime only.

Reads a model folder: `classifier.onnx`, `images` float32 (batch, colours, height, width) raw 0-255 -> `logits` (batch,
classes), `cam` (batch, classes, h, w); and `model.json`.

Probabilities are calibrated: softmax(logits / temperature) (Guo et al. 2017, https://arxiv.org/abs/1706.04599, section
4.2), or the sigmoid with several labels; the temperature is fitted to `val` for each model folder by `calibrate`.

Shapes: B batch, K classes, h and w of a class activation map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.files import write_json
from core.onnx_session import CPU, session
from modalities.images.inputs.decode import coloured, fit
from modalities.images.inputs.labels import described, probabilities, ranked
from modalities.images.predict import alone, calibration
from modalities.images.predict.folder import settings
from modalities.images.predict.pictures import inputs, pixels

__all__ = ["Predictor", "calibrate", "inputs"]

FORMAT = 1
EXAMPLE = "picture.jpg"
"""An input, for the model card."""


@dataclass(frozen=True)
class Found:
    """What was said of one image."""

    probabilities: NDArray[np.float64]
    """(K,)"""
    cam: NDArray[np.float32]
    """(h, w) of the likeliest class: what each place says for it; the mean is its logit."""


class Predictor:
    """Classes of images: `picture` of each, `classify` for all of a batch, `describe` of each.

    folder: a model folder; threads: 0: ONNX Runtime chooses; provider: an execution provider; single: see `alone`.
    Raises: ModelError when the folder holds no usable model.
    """

    def __init__(self, folder: Path, threads: int = 0, provider: str = CPU, single: bool = False):
        needed = ("graphs", "image_size", "classes", "multilabel", "temperature", "inputs")
        self.settings = settings(Path(folder), "classification", FORMAT, needed)
        height, width = self.settings["image_size"]
        self.size, self.single = (int(height), int(width)), single
        self.session = session(Path(folder) / self.settings["graphs"][0], threads, provider, alone.fixed(self))
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

    @alone.one_by_one
    def classify(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Found]:
        """Of each picture, computed as one batch of at least one, or one by one."""
        logits, cams = self.outputs(pictures)
        shares = probabilities(logits / self.settings["temperature"], self.multilabel)
        return [Found(row, cam[row.argmax()]) for row, cam in zip(shares, cams, strict=True)]

    def outputs(self, pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits (B, K) and class activation maps (B, K, h, w)."""
        logits, cams = self.session.run(["logits", "cam"], {"images": np.stack(pictures).astype(np.float32)})
        return np.asarray(logits), np.asarray(cams)

    def ranked(self, found: Found, top: int) -> list[dict[str, Any]]:
        """See the function `ranked`."""
        return ranked(found.probabilities, self.classes, top)

    def describe(self, found: Found) -> dict[str, Any]:
        """As JSON values, see `described`, with `cam`: the rows of the likeliest class's map, where it has places."""
        maps = {} if found.cam.size == 1 else {"cam": found.cam.astype(float).round(3).tolist()}
        return described(found.probabilities, self.classes, self.multilabel) | maps


def calibrate(folder: Path, dataset: Path, params: Any) -> dict[str, float]:
    """Fit the temperature of the model in `folder` to `val`, and write it into its `model.json`."""
    predictor = Predictor(folder)
    logits, targets = calibration.outputs(
        dataset, predictor.classes, predictor.picture, lambda pictures: predictor.outputs(pictures)[0]
    )
    found = calibration.temperature(logits, targets, predictor.multilabel)
    write_json(folder / "model.json", predictor.settings | {"temperature": found})
    return {"temperature": found}
