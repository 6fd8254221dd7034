"""Knowledge distillation for a dense detector: soft class scores, the teacher's boxes, and attention as the hint.

Shapes: B batch, N locations, K classes, P locations where the teacher sees an object.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.networks import distillation
from tasks.detection.model.fcos import Predictions
from tasks.detection.model.losses import BOX_WEIGHT, GAMMA, detection_loss, giou

CERTAIN = 0.05
"""Teacher's class score above which its box and centre-ness are imitated."""


def soft_targets(student: nn.Module, teacher: nn.Module, batch: Any, settings: Any, params: Any) -> dict[str, Tensor]:
    """(1 - soft_weight) * hard + soft_weight * (class + box + centre-ness of the teacher) + hint_weight * attention.

    settings: `params.distill.<name>`. The teacher must be in eval mode; it gets no gradient.
    Returns: scalars `loss` and its parts. Raises: TrainingError when the two do not predict the same things.
    """
    distillation.check(facts(student), facts(teacher))
    with torch.no_grad():
        wanted = teacher(batch["images"])
    given = student(batch["images"])
    hard = detection_loss(given, batch)
    soft = imitation(given, wanted, settings.temperature)
    hint = distillation.attention(given.features, wanted.features)
    total = (1 - settings.soft_weight) * hard["loss"] + settings.soft_weight * sum(soft.values())
    parts = {"hard": hard["loss"], "hint": hint} | soft
    return {"loss": total + settings.hint_weight * hint} | {name: part.detach() for name, part in parts.items()}


def facts(network: nn.Module) -> dict[str, Any]:
    """What teacher and student must share."""
    return {
        "classes": [entry["name"] for entry in network.arch["classes"]],
        "image_size": network.arch["image_size"],
    }


def imitation(given: Predictions, wanted: Predictions, temperature: float) -> dict[str, Tensor]:
    """Losses against the teacher's predictions.

    `soft_class`: cross-entropy at `temperature` T with T^2 (Hinton et al. 2015, arXiv:1503.02531) of independent
    sigmoids, weighted by the difference of the scores as the quality focal loss (Li et al. 2020, arXiv:2006.04388,
    equation 4), since nearly all locations are easy background. `soft_box`, `soft_centre`: GIoU and cross-entropy
    where the teacher sees an object, weighted by its score.
    """
    target = (wanted.classes / temperature).sigmoid()
    logits = given.classes / temperature
    # The entropy of the target is taken off, so that a perfect imitation costs nothing.
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    entropy = F.binary_cross_entropy_with_logits(wanted.classes / temperature, target, reduction="none")
    certainty = wanted.classes.sigmoid().amax(-1)
    seen = certainty > CERTAIN
    weight = certainty[seen]
    total = weight.sum().clamp(min=1.0)
    apart = (target - logits.sigmoid()).abs() ** GAMMA
    classes = temperature**2 * (apart * (cross - entropy)).sum() / total
    boxes = ((1 - giou(given.distances[seen], wanted.distances[seen])) * weight).sum() / total
    centre = F.binary_cross_entropy_with_logits(
        given.centreness[seen], wanted.centreness[seen].sigmoid(), reduction="none"
    )
    return {"soft_class": classes, "soft_box": BOX_WEIGHT * boxes, "soft_centre": (centre * weight).sum() / total}
