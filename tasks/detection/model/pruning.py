"""Pruning of the detector: every layer but the predicting ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compression.networks import pruning
from modalities.images import backbones
from tasks.detection.model.fcos import FCOS


def prune(model: nn.Module, arch: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Remove `settings.ratio` of the channels of every layer but the predicting ones, in place; see `pruning.prune`.

    Returns: the architecture of what is left; no weight is frozen, since every layer must recover. Norms that the base
    keeps are kept here, too, with the statistics that stage `prune` finds anew.
    """
    assert isinstance(model, FCOS)
    heads = (model.class_head, model.box_head, model.scales)
    example = torch.zeros(1, 3, 64, 64)
    pruning.prune(model, example, settings.ratio, heads, output_transform=_tensors, importance=settings.importance)
    model.arch = arch | widths(model) | {"freeze_blocks": 0}
    return model.arch


def widths(model: FCOS) -> dict[str, Any]:
    """The parts of an architecture that pruning changes, read from the layers."""
    towers = {"classes": model.class_tower, "boxes": model.box_tower}
    return {
        "backbone": backbones.widths(model.backbone),
        "pyramid": {
            "lateral": model.pyramid.lateral[0].out_channels,
            "smooth": model.pyramid.smooth[0].out_channels,
        },
        "towers": {name: [conv.out_channels for conv in tower.convs] for name, tower in towers.items()},
    }


def _tensors(predictions: Any) -> list[Tensor]:
    return [predictions.classes, predictions.distances, predictions.centreness]
