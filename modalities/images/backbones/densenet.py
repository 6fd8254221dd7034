"""Densely connected networks (Huang et al. 2017, https://arxiv.org/abs/1608.06993): each layer sees the outputs of all
layers before it in its block.

Shapes: B batch, C channels, H and W height and width of the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modalities.images.backbones import layers


def description(
    growth: int = 32,
    blocks: Sequence[int] = (6, 12, 24, 16),
    bottleneck: int = 4,
    compression: float = 0.5,
    small: bool = False,
    norm: str = "batch",
    activation: str = "relu",
    init: str = "he",
    depth: float = 1.0,
    inputs: int = 3,
) -> dict[str, Any]:
    """`stem` channels; for each layer of each block the channels of its 1x1 (`hidden`, 0: none) and 3x3 convolution
    (`out`); channels of the transitions between the blocks."""
    stem = channels = 2 * growth
    dense, transitions = [], []
    for i, count in enumerate(blocks):
        kept = layers.share(count, depth)
        dense.append([{"hidden": bottleneck * growth, "out": growth} for _ in range(kept)])
        channels += kept * growth
        if i < len(blocks) - 1:
            channels = max(1, int(channels * compression))
            transitions.append(channels)
    kinds = {"norm": norm, "activation": activation, "init": init}
    return {"inputs": inputs, "stem": stem, "small": small, "blocks": dense, "transitions": transitions, **kinds}


class Layer(nn.Module):
    """Norm, activation, 1x1 convolution; norm, activation, 3x3 convolution."""

    def __init__(self, channels: int, hidden: int, out: int, kinds: tuple[str, str]):
        super().__init__()
        bias = kinds[0] == "none"
        self.activation = layers.activation(kinds[1])
        if hidden:
            self.reduce_norm = layers.norm(kinds[0], channels)
            self.reduce = layers.convolution(channels, hidden, 1, bias=bias)
        self.conv_norm = layers.norm(kinds[0], hidden or channels)
        self.conv = layers.convolution(hidden or channels, out, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> what is new, (B, out, h, w)."""
        if hasattr(self, "reduce"):
            x = self.reduce(self.activation(self.reduce_norm(x)))
        return self.conv(self.activation(self.conv_norm(x)))


class Backbone(nn.Module):
    """Stem and dense blocks; a map of each block's outputs after norm and activation."""

    def __init__(self, description: dict[str, Any]):
        super().__init__()
        self.description = description
        kinds = layers.common(description)
        bias = kinds[0] == "none"
        self.small = description["small"]
        channels, kernel, stride = description["stem"], *((3, 1) if self.small else (7, 2))
        self.stem = layers.convolution(description["inputs"], channels, kernel, stride, bias=bias)
        self.stem_norm = layers.norm(kinds[0], channels)
        self.activation = layers.activation(kinds[1])
        self.blocks, self.norms, self.transitions = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.channels: list[int] = []
        for i, block in enumerate(description["blocks"]):
            self.blocks.append(nn.ModuleList())
            for layer in block:
                self.blocks[-1].append(Layer(channels, **layer, kinds=kinds))
                channels += layer["out"]
            self.norms.append(layers.norm(kinds[0], channels))
            self.channels.append(channels)
            if i < len(description["transitions"]):
                self.transitions.append(layers.convolution(channels, description["transitions"][i], 1, bias=bias))
                channels = description["transitions"][i]
        self.strides = [2**i * (1 if self.small else 4) for i in range(len(self.channels))]
        layers.initialise(self, description["init"], kinds[1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, inputs, H, W), raw 0-255 -> maps (B, C, H / s, W / s) for s in `strides`."""
        x = self.activation(self.stem_norm(self.stem(layers.normalised(x))))
        if not self.small:
            x = F.max_pool2d(x, 3, 2, 1)
        maps: list[Tensor] = []
        for i, (block, norm) in enumerate(zip(self.blocks, self.norms, strict=True)):
            if i:
                x = F.avg_pool2d(self.transitions[i - 1](maps[-1]), 2)
            for layer in block:
                x = torch.cat([x, layer(x)], 1)
            maps.append(self.activation(norm(x)))
        return maps


def widths(network: Backbone) -> dict[str, Any]:
    """The description of what the layers are now."""
    blocks = [
        [
            {"hidden": layer.reduce.out_channels if hasattr(layer, "reduce") else 0, "out": layer.conv.out_channels}
            for layer in block
        ]
        for block in network.blocks
    ]
    transitions = [conv.out_channels for conv in network.transitions]
    return network.description | {
        "stem": network.stem.out_channels,
        "blocks": blocks,
        "transitions": transitions,
    }
