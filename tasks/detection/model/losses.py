"""Losses of FCOS, in float32.

Shapes: B batch, N locations, K classes, P positive locations of the batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.detection.model.fcos import Predictions
from tasks.detection.model.targets import assign, centreness

ALPHA, GAMMA = 0.25, 2.0
BOX_WEIGHT = 1.5


def focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum of the sigmoid focal loss (Lin et al. 2017, arXiv:1708.02002, equation 5); targets 0 or 1, same shape."""
    loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    wrong = torch.where(targets > 0, 1 - logits.sigmoid(), logits.sigmoid())
    weight = torch.where(targets > 0, ALPHA, 1 - ALPHA)
    return (weight * wrong**GAMMA * loss).sum()


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al. 2019, arXiv:1902.09630) of boxes around the same points.

    Both (P, 4) distances left, top, right, bottom in pixels. Returns: (P,) in (-1, 1].
    """
    inner, outer = torch.minimum(first, second), torch.maximum(first, second)
    overlap = (inner[:, 0] + inner[:, 2]).clamp(min=0) * (inner[:, 1] + inner[:, 3]).clamp(min=0)
    union = _area(first) + _area(second) - overlap
    hull = _area(outer)
    return overlap / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def _area(distances: Tensor) -> Tensor:
    return (distances[:, 0] + distances[:, 2]) * (distances[:, 1] + distances[:, 3])


def targets(predictions: Predictions, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Class (B, N), K where there is none, and distances (B, N, 4) in pixels; see `assign`."""
    made = [
        assign(predictions.points, predictions.strides, boxes, labels, predictions.classes.shape[-1])
        for boxes, labels in zip(batch["boxes"], batch["labels"], strict=True)
    ]
    return torch.stack([label for label, _ in made]), torch.stack([distances for _, distances in made])


def detection_loss(predictions: Predictions, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Focal loss of the classes, GIoU loss of the boxes weighted by centre-ness, cross-entropy of the centre-ness.

    Returns: scalars `loss` and its parts `class`, `box`, `centre`; defined for a batch without boxes.
    """
    labels, distances = targets(predictions, batch)
    classes = predictions.classes.shape[-1]
    positive = labels < classes
    count = positive.sum().clamp(min=1)
    wanted = F.one_hot(labels, classes + 1)[..., :classes].float()
    class_loss = focal(predictions.classes, wanted) / count

    truth = distances[positive]
    centre = centreness(truth)
    overlap = giou(predictions.distances[positive], truth)
    box_loss = ((1 - overlap) * centre).sum() / centre.sum().clamp(min=1e-6)
    logits = predictions.centreness[positive]
    centre_loss = F.binary_cross_entropy_with_logits(logits, centre, reduction="sum") / count
    total = class_loss + BOX_WEIGHT * box_loss + centre_loss
    return {"loss": total, "class": class_loss, "box": box_loss, "centre": centre_loss}
