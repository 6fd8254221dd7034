"""MobileNets: v1 (Howard et al. 2017, https://arxiv.org/abs/1704.04861) splits a convolution into a depthwise one and a
1x1 one; v2 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381) wraps the depthwise one into an inverted residual.

A depthwise-separable convolution with kernel D_K and N output channels takes 1 / N + 1 / D_K^2 of the multiply-adds of
a full one (Howard et al. 2017, section 3.1).
Shapes: B batch, C channels, H and W height and width of the network's input.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from modalities.images.backbones import layers

STEM = 32
STAGES = {  # stride, expansion (0: depthwise-separable), output channels, blocks
    "mobilenet_v1": ((1, 0, 64, 1), (2, 0, 128, 2), (2, 0, 256, 2), (2, 0, 512, 6), (2, 0, 1024, 2)),
    "mobilenet_v2": (
        (1, 1, 16, 1),
        (2, 6, 24, 2),
        (2, 6, 32, 3),
        (2, 6, 64, 4),
        (1, 6, 96, 3),
        (2, 6, 160, 3),
        (1, 6, 320, 1),
    ),
}
HEAD = {"mobilenet_v1": 0, "mobilenet_v2": 1280}
"""Channels of a last 1x1 convolution."""


def description(
    name: str = "mobilenet_v2",
    width: float = 1.0,
    small: bool = False,
    norm: str = "batch",
    activation: str = "relu6",
    init: str = "he",
    depth: float = 1.0,
    inputs: int = 3,
) -> dict[str, Any]:
    """`stem` channels and stride; for each block stride, `hidden` channels (0: no expansion), `out`, whether it is
    `residual` (v2), and whether it has a `shortcut`; `head` channels of a last 1x1 convolution, 0: none."""
    stem = channels = layers.eighths(STEM * width)
    blocks: list[dict[str, Any]] = []
    halved = 0
    for stride, expansion, base, count in STAGES[name]:
        out = layers.eighths(base * width)
        for i in range(layers.share(count, depth)):
            step = stride if i == 0 else 1
            if step > 1:
                halved += 1
                step = 1 if small and halved == 1 else step  # the other one is the stem's
            shortcut = expansion > 0 and step == 1 and channels == out
            hidden = channels * expansion if expansion > 1 else 0
            residual = expansion > 0
            blocks.append({"stride": step, "hidden": hidden, "out": out, "residual": residual, "shortcut": shortcut})
            channels = out
    kinds = {"norm": norm, "activation": activation, "init": init}
    head = layers.eighths(HEAD[name] * max(1.0, width)) if HEAD[name] else 0
    return {"inputs": inputs, "stem": stem, "small": small, "blocks": blocks, "head": head, **kinds}


class Block(nn.Module):
    """Depthwise 3x3 and 1x1 convolution; an inverted residual expands before and has no activation at its end."""

    def __init__(
        self,
        channels: int,
        stride: int,
        hidden: int,
        out: int,
        residual: bool,
        shortcut: bool,
        kinds: tuple[str, str],
    ):
        super().__init__()
        width, bias = hidden or channels, kinds[0] == "none"
        if hidden:
            self.expand = layers.convolution(channels, hidden, 1, bias=bias)
            self.expand_norm = layers.norm(kinds[0], hidden)
        self.depthwise = layers.convolution(width, width, 3, stride, groups=width, bias=bias)
        self.depthwise_norm = layers.norm(kinds[0], width)
        self.project = layers.convolution(width, out, 1, bias=bias)
        self.project_norm = layers.norm(kinds[0], out)
        self.activation = layers.activation(kinds[1])
        self.last = nn.Identity() if residual else layers.activation(kinds[1])
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, out, h / stride, w / stride)."""
        y = x
        if hasattr(self, "expand"):
            y = self.activation(self.expand_norm(self.expand(y)))
        y = self.activation(self.depthwise_norm(self.depthwise(y)))
        y = self.last(self.project_norm(self.project(y)))
        return x + y if self.shortcut else y


class Backbone(nn.Module):
    """Stem, blocks and head; a map of the last block at each resolution, the last one after the head."""

    def __init__(self, description: dict[str, Any]):
        super().__init__()
        self.description = description
        kinds = layers.common(description)
        bias = kinds[0] == "none"
        channels, stride = description["stem"], 1 if description["small"] else 2
        self.stem = layers.convolution(description["inputs"], channels, 3, stride, bias=bias)
        self.stem_norm = layers.norm(kinds[0], channels)
        self.activation = layers.activation(kinds[1])
        self.blocks = nn.ModuleList()
        for block in description["blocks"]:
            self.blocks.append(Block(channels, **block, kinds=kinds))
            channels = block["out"]
        self.taps = layers.taps(description, stride)
        self.channels = [description["blocks"][i]["out"] for i in self.taps]
        if description["head"]:
            self.head = layers.convolution(channels, description["head"], 1, bias=bias)
            self.head_norm = layers.norm(kinds[0], description["head"])
            self.channels[-1] = description["head"]
        self.strides = list(self.taps.values())
        layers.initialise(self, description["init"], kinds[1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, inputs, H, W), raw 0-255 -> maps (B, C, H / s, W / s) for s in `strides`, rounded up."""
        x = self.activation(self.stem_norm(self.stem(layers.normalised(x))))
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.taps:
                maps.append(x)
        if hasattr(self, "head"):
            maps[-1] = self.activation(self.head_norm(self.head(x)))
        return maps


def widths(network: Backbone) -> dict[str, Any]:
    """The description of what the layers are now."""
    blocks = []
    for block, old in zip(network.blocks, network.description["blocks"], strict=True):
        hidden = block.expand.out_channels if hasattr(block, "expand") else 0
        blocks.append(old | {"hidden": hidden, "out": block.project.out_channels})
    head = network.head.out_channels if hasattr(network, "head") else 0
    return network.description | {"stem": network.stem.out_channels, "blocks": blocks, "head": head}
