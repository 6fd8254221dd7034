"""mAP during training, on the boxes that the exported graph would give."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tasks.detection.model.detect import Detector
from tasks.detection.score import coco

MONITOR = "map"


class MeanPrecision:
    """COCO's mean average precision; boxes are compared in the pixels of the images as they are on disk."""

    def __init__(self, categories: list[int]):
        self.categories = categories
        self.predictions: list[list[dict[str, Any]]] = []
        self.references: list[dict[str, Any]] = []

    @torch.no_grad()
    def update(self, model: torch.nn.Module, batch: Any) -> None:
        """Predict a validation batch of `tasks.detection.data`. The model must be in eval mode."""
        detector = Detector(model).eval()
        boxes, scores, labels, images = (value.cpu().numpy() for value in detector(batch["images"]))
        for i, (record, scale) in enumerate(zip(batch["records"], batch["scales"].cpu().numpy(), strict=True)):
            own = np.flatnonzero(images == i)
            own = own[np.argsort(-scores[own], kind="stable")][: detector.most]
            self.predictions.append(
                [
                    {
                        "box": boxes[index] / np.tile(scale, 2),
                        "score": float(scores[index]),
                        "category_id": self.categories[labels[index]],
                    }
                    for index in own
                ]
            )
            self.references.append(record)

    def compute(self) -> dict[str, float]:
        """`map` over IoU 0.5:0.95, `map50`, `map75`; 0.0 where there is nothing to find."""
        precision = coco.accumulate(coco.evaluate(self.predictions, self.references, self.categories))[:, :, :, 0, -1]
        return {MONITOR: coco.mean(precision), "map50": coco.mean(precision[0]), "map75": coco.mean(precision[5])}
