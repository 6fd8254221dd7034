"""Backbones for pictures: one file each, one interface, shared by every task on images.

A module has `description(settings ...)`, JSON values with every width written out, so that a pruned network rebuilds;
`Backbone(description)`, an `nn.Module` from raw pixels (B, C, H, W) 0-255 to feature maps, finest first, with their
`channels` and `strides` (None of a network that sees the whole picture at once); and `widths(network)`, the description
of what pruning has left. Normalisation of the pixels is inside the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ModelError, ParamsError
from modalities.images.params.backbones import NAMES, PACKAGED, PYRAMIDS, Levels, checked

if TYPE_CHECKING:
    from torch import nn

__all__ = ["FIRST", "NAMES", "PACKAGED", "PYRAMIDS", "build", "describe", "load_packaged", "packaged", "widths"]

FIRST = "efficientnet_lite0"
"""What a description without a name is of: there was no other one."""


def describe(
    name: str,
    settings: Mapping[str, Any] | None = None,
    inputs: int = 3,
    size: Sequence[int] | None = None,
    levels: Levels = "last",
) -> dict[str, Any]:
    """The description of backbone `name` with `settings` (see `modalities.images.params.backbones`) for pictures of
    `inputs` colours (1: grey, 3: RGB) and of `size` [H, W] pixels, which only a perceptron must know. It gives
    a map of each block where `levels` is `blocks`, else of the last at each resolution.

    Raises: ParamsError with everything that is wrong in the settings.
    """
    problems: list[str] = []
    section = checked(name, dict(settings or {}), problems)
    if section is None:
        raise ParamsError(problems)
    module, values = _modules()[name], section.model_dump()
    if name == "mlp":
        if size is None:
            raise ParamsError(["backbone: mlp needs pictures of one size, and this task leaves their size free"])
        values["size"] = size
    if sum(other is module for other in _modules().values()) == 1:
        del values["name"]  # the module holds one network
    every = {"every": True} if levels == "blocks" else {}
    return {"name": name, **module.description(**values, inputs=inputs), **every}


def build(description: Mapping[str, Any]) -> nn.Module:
    """The network of a description, in train mode and with random weights."""
    network: nn.Module = _modules()[description.get("name", FIRST)].Backbone(dict(description))
    return network


def widths(network: Any) -> dict[str, Any]:
    """The description of a (pruned) network, read from its layers."""
    found: dict[str, Any] = _modules()[network.description.get("name", FIRST)].widths(network)
    return found


def load_packaged(network: Any) -> None:
    """Copy the ImageNet weights that are installed with a backbone into it. Raises: ModelError when there are none."""
    name = network.description.get("name", FIRST)
    if name not in PACKAGED:
        raise ModelError(
            f"no pretrained weights are packaged for backbone {name}, only for {', '.join(PACKAGED)}; set "
            "`weights: none`, or take that one"
        )
    from modalities.images.backbones import efficientnet_lite

    efficientnet_lite.load_packaged(network)


def packaged() -> tuple[Path, str]:
    """File and licence of the weights that `load_packaged` copies."""
    from modalities.images.backbones import efficientnet_lite

    return efficientnet_lite.packaged()


def _modules() -> dict[str, Any]:
    # Imported here: who checks params must not wait for torch.
    from modalities.images.backbones import cnn, densenet, efficientnet_lite, mlp, mobilenet, resnet

    return {
        "mlp": mlp,
        "cnn": cnn,
        "resnet18": resnet,
        "resnet34": resnet,
        "resnet50": resnet,
        "densenet121": densenet,
        "mobilenet_v1": mobilenet,
        "mobilenet_v2": mobilenet,
        "efficientnet_lite0": efficientnet_lite,
    }
