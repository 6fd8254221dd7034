"""How a network on a backbone is trained: learning rates, and what of pretrained weights stays."""

from __future__ import annotations

from typing import Any

from torch import nn

from core.errors import TrainingError


def parameter_groups(model: nn.Module, train: Any) -> list[dict[str, Any]]:
    """Groups of parameters: the backbone (`model.backbone`) learns at `train.backbone_lr` of the rate `train.lr`;
    norms, biases and scales do not decay, all else does at `train.weight_decay`."""
    groups = []
    for share, in_backbone in ((train.backbone_lr, True), (1.0, False)):
        own = [
            parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and name.startswith("backbone.") == in_backbone
        ]
        for decay, matrices in ((train.weight_decay, True), (0.0, False)):
            group = [parameter for parameter in own if (parameter.ndim > 1) == matrices]
            groups.append({"params": group, "lr": train.lr * share, "weight_decay": decay})
    return [group for group in groups if group["params"]]


def freeze(backbone: nn.Module, blocks: int) -> None:
    """Take the stem and the first `blocks` blocks out of training."""
    for module in (backbone.stem, backbone.stem_norm, *backbone.blocks[:blocks]):
        module.requires_grad_(False)


def keep_statistics(backbone: nn.Module) -> None:
    """Put every BatchNorm into eval mode: the statistics of small batches are worse than those of ImageNet."""
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def paired(student: Any, teacher: Any) -> tuple[list[int], list[int]]:
    """Positions of the maps of two backbones that have one resolution, of several the last. Raises: TrainingError when
    there are none."""
    mine, other = ({stride: i for i, stride in enumerate(each.strides or [])} for each in (student, teacher))
    shared = [stride for stride in mine if stride in other]
    if not shared:
        raise TrainingError(
            f"no map of the student (strides {[*mine]}) has the resolution of one of the teacher's (strides "
            f"{[*other]}); give no hints, or take backbones of like strides"
        )
    return [mine[stride] for stride in shared], [other[stride] for stride in shared]
