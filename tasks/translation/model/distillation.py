"""Word-level knowledge distillation (Hinton et al. 2015; Kim and Rush 2016, section 3.1)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compression.networks import distillation
from tasks.translation.model.losses import hard_targets, teacher_forced


def soft_targets(student: nn.Module, teacher: nn.Module, batch: Any, settings: Any, params: Any) -> dict[str, Tensor]:
    """`loss` = soft_weight * temperature^2 * KL(teacher || student) + (1 - soft_weight) * cross-entropy with smoothing.

    Both distributions over the vocabulary at `temperature`; the square keeps the gradients' size (Hinton et al. 2015,
    section 2). All in nats a subword. Raises: TrainingError when the two do not share a tokenizer.
    """
    distillation.check(facts(student), facts(teacher))
    with torch.no_grad():
        target = teacher_forced(teacher, batch)[0]
    logits, gold = teacher_forced(student, batch)  # as the teacher: both say what comes after the same words
    hard = hard_targets(logits, gold, params.model.label_smoothing)
    heat = settings.temperature
    soft = distillation.divergence(logits, target, heat)
    total = settings.soft_weight * heat**2 * soft + (1 - settings.soft_weight) * hard["loss"]
    return {"loss": total, "nll": hard["nll"], "soft": soft.detach()}


def facts(network: nn.Module) -> dict[str, Any]:
    """What teacher and student must share."""
    return {"vocabulary size": network.arch["vocabulary"], "tokenizer (sha256)": network.arch["tokenizer"]}
