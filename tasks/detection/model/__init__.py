"""Role `model` of detection: an FCOS detector on a shared backbone, described by plain JSON values.

An architecture holds: `classes` ({"id", "name"} in output order), `image_size` [height, width], `backbone` (see
`backbones.describe`), `pyramid` {"lateral", "smooth"} channels, `towers` {"classes", "boxes"} lists of channels,
`pretrained` (by the packaged weights), `freeze_blocks` and `frozen_norm` (how to train it), and the decoding's
`score_threshold`, `nms_iou` and `max_detections`. Every width is written out, so that a pruned network rebuilds.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from modalities.images import backbones
from modalities.images.backbones import packaged
from modalities.images.backbones.tuning import parameter_groups
from modalities.images.inputs.classes import classes
from tasks.detection.model.detect import predictions
from tasks.detection.model.distillation import soft_targets
from tasks.detection.model.fcos import FCOS
from tasks.detection.model.losses import detection_loss
from tasks.detection.model.pruning import prune

__all__ = [
    "architecture",
    "build",
    "loss",
    "packaged",
    "parameter_groups",
    "predictions",
    "prune",
    "soft_targets",
    "student",
]


def architecture(params: Any, assets: dict[str, bytes]) -> dict[str, Any]:
    """The detector that `params.model` asks for, with the classes of `assets`."""
    settings = params.model
    return {
        "name": settings.arch,
        "classes": classes(assets),
        "image_size": list(settings.image_size),
        "backbone": backbones.describe(settings.backbone),
        "pyramid": {"lateral": settings.width, "smooth": settings.width},
        "towers": {name: [settings.width] * settings.tower for name in ("classes", "boxes")},
        "pretrained": settings.weights == "packaged",
        "frozen_norm": settings.weights != "none",
        "freeze_blocks": 0 if settings.weights == "none" else params.train.freeze_blocks,
        "score_threshold": settings.score_threshold,
        "nms_iou": settings.nms_iou,
        "max_detections": settings.max_detections,
    }


def student(teacher: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Another width of pyramid and towers, and the first `depth` of each backbone stage; no weight is frozen, and norms
    only where the student begins as its teacher: blocks that lose their successors see other statistics than they were
    trained for, which are found anew.
    """
    return teacher | {
        "backbone": backbones.describe(teacher["backbone"].get("name", backbones.FIRST), {"depth": settings.depth}),
        "pyramid": {"lateral": settings.width, "smooth": settings.width},
        "towers": {name: [settings.width] * len(widths) for name, widths in teacher["towers"].items()},
        "frozen_norm": teacher["frozen_norm"] and settings.initial == "teacher",
        "freeze_blocks": 0,
    }


def build(arch: dict[str, Any], initial: bool = False) -> FCOS:
    """The network in train mode; `initial` loads the packaged ImageNet weights where `arch` says `pretrained`.

    Weights lie channels last in memory, as the loaders' images do: twice as fast on a CPU.
    """
    network = FCOS(arch)
    if initial and arch["pretrained"]:
        backbones.load_packaged(network.backbone)
    return network.to(memory_format=torch.channels_last).train()


def loss(model: nn.Module, batch: Any, params: Any) -> dict[str, Tensor]:
    """Losses of a batch, see `losses.detection_loss`."""
    return detection_loss(model(batch["images"]), batch)
