"""Structured pruning with torch-pruning (Fang et al. 2023, DepGraph, https://arxiv.org/abs/2301.12900)."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import TrainingError
from tasks.detection.model.fcos import FCOS

ROUND_TO = 8
"""Kept channels are a multiple of this, as vector units like it, where a layer has that many."""


def prune(model: nn.Module, arch: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Remove `settings.ratio` of the channels of every layer but the predicting ones, the weakest first (L2 norm of
    everything that a channel takes part in), in place.

    Returns: the architecture of what is left; nothing is frozen, since every layer must recover.
    Raises: TrainingError when a layer would be left without channels.
    """
    import torch_pruning as tp

    assert isinstance(model, FCOS)
    ratios = _ratios(model, settings.ratio)
    mode = model.training
    model.eval().requires_grad_(True)  # torch-pruning follows gradients through the graph
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of `scales`, which is not in a module and is left alone below
        pruner = _pruner(tp, model, ratios)
    pruner.step()
    left = widths(model)
    model.arch = arch | left | {"frozen_norm": False, "freeze_blocks": 0}
    model.train(mode)
    return model.arch


def _pruner(tp: Any, model: FCOS, ratios: dict[nn.Module, float]) -> Any:
    return tp.pruner.MagnitudePruner(
        model,
        torch.zeros(1, 3, 64, 64),
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio_dict=ratios,
        ignored_layers=[model.class_head, model.box_head, model.scales],
        output_transform=_tensors,
    )


def widths(model: FCOS) -> dict[str, Any]:
    """The parts of an architecture that pruning changes, read from the layers."""
    blocks = []
    for block, old in zip(model.backbone.blocks, model.arch["backbone"]["blocks"], strict=True):
        hidden = block.expand.out_channels if hasattr(block, "expand") else 0
        blocks.append(old | {"hidden": hidden, "out": block.project.out_channels})
    towers = {"classes": model.class_tower, "boxes": model.box_tower}
    return {
        "backbone": {"stem": model.backbone.stem.out_channels, "blocks": blocks},
        "pyramid": {
            "lateral": model.pyramid.lateral[0].out_channels,
            "smooth": model.pyramid.smooth[0].out_channels,
        },
        "towers": {name: [conv.out_channels for conv in tower.convs] for name, tower in towers.items()},
    }


def _ratios(model: FCOS, ratio: float) -> dict[nn.Module, float]:
    """Ratio of each convolution after rounding; coupled layers have one width and so one ratio.

    Raises: TrainingError naming the first layer of which nothing would be left.
    """
    ratios: dict[nn.Module, float] = {}
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Conv2d) or layer in (model.class_head, model.box_head):
            continue
        width = layer.out_channels
        kept = width * (1 - ratio)
        if round(kept) < 1:
            raise TrainingError(
                f"pruning with ratio {ratio} leaves nothing of layer {name} ({width} channels); "
                f"the largest ratio for it is {1 - 1 / width:.2f}"
            )
        kept = round(kept / ROUND_TO) * ROUND_TO or round(kept)
        ratios[layer] = max(0.0, 1 - (kept + 0.5) / width)  # torch-pruning rounds what is kept down
    return ratios


def _tensors(predictions: Any) -> list[Tensor]:
    return [predictions.classes, predictions.distances, predictions.centreness]
