"""A plain convolutional network: stages of convolutions, each ended by max-pooling (as VGG, Simonyan & Zisserman 2015,
https://arxiv.org/abs/1409.1556, which keeps nothing but 3x3 kernels).

Shapes: B batch, C channels, H and W height and width of the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from modalities.images.backbones import layers


def description(
    widths: Sequence[int] = (32, 64, 128, 256, 512),
    convolutions: int = 1,
    kernel: int = 3,
    norm: str = "batch",
    activation: str = "relu",
    init: str = "he",
    depth: float = 1.0,
    inputs: int = 3,
) -> dict[str, Any]:
    """`inputs` colours, `kernel`, and channels of each convolution, stage by stage."""
    kinds = {"norm": norm, "activation": activation, "init": init}
    stages = [[width] * layers.share(convolutions, depth) for width in widths]
    return {"inputs": inputs, "kernel": kernel, "stages": stages, **kinds}


class Backbone(nn.Module):
    """Convolutions with norm and activation; a map after each stage's pooling."""

    def __init__(self, description: dict[str, Any]):
        super().__init__()
        self.description = description
        kind, activation = layers.common(description)
        channels = description["inputs"]
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for width in (width for stage in description["stages"] for width in stage):
            bias = kind == "none"
            self.convs.append(layers.convolution(channels, width, description["kernel"], bias=bias))
            self.norms.append(layers.norm(kind, width))
            channels = width
        self.activation = layers.activation(activation)
        self.channels = [stage[-1] for stage in description["stages"]]
        self.strides = [2 ** (i + 1) for i in range(len(self.channels))]
        layers.initialise(self, description["init"], activation)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, inputs, H, W), raw 0-255 -> maps (B, C, H / s, W / s) for s in `strides`, rounded down."""
        x = layers.normalised(x)
        pairs = zip(self.convs, self.norms, strict=True)
        maps = []
        for stage in self.description["stages"]:
            for _ in stage:
                conv, norm = next(pairs)
                x = self.activation(norm(conv(x)))
            x = F.max_pool2d(x, 2)
            maps.append(x)
        return maps


def widths(network: Backbone) -> dict[str, Any]:
    """The description of what the layers are now."""
    convs = iter(network.convs)
    return network.description | {
        "stages": [[next(convs).out_channels for _ in stage] for stage in network.description["stages"]]
    }
