"""Residual networks: ResNet (He et al. 2016, https://arxiv.org/abs/1512.03385), with norm and activation before the
convolutions (He et al. 2016b, https://arxiv.org/abs/1603.05027), wide (Zagoruyko & Komodakis 2016,
https://arxiv.org/abs/1605.07146).

A bottleneck's stride is in its 3x3 convolution, as in PyTorch's networks of the same names ("v1.5").
Shapes: B batch, C channels, H and W height and width of the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from modalities.images.backbones import layers

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4
"""Output of a bottleneck over the width within."""
STEM = 64


def description(
    name: str = "resnet18",
    width: float = 1.0,
    preactivation: bool = False,
    small: bool = False,
    norm: str = "batch",
    activation: str = "relu",
    init: str = "he",
    depth: float = 1.0,
    inputs: int = 3,
) -> dict[str, Any]:
    """`stem` channels, and for each block the channels within (`hidden`: one width, or two of a bottleneck), `out`,
    stride, and whether its shortcut is a `projection`."""
    bottleneck = name == "resnet50"
    stem = channels = max(1, round(STEM * min(1.0, width)))
    blocks: list[dict[str, Any]] = []
    for stage, (base, count) in enumerate(zip(WIDTHS, BLOCKS[name], strict=True)):
        inner = max(1, round(base * width))
        # Only what lies within a bottleneck is widened, as in WideResNet-50-2; a narrow one is narrow throughout.
        out = max(1, round(base * min(1.0, width))) * EXPANSION if bottleneck else inner
        for i in range(layers.share(count, depth)):
            stride = 2 if stage and not i else 1
            hidden = [inner, inner] if bottleneck else [inner]
            projection = stride > 1 or channels != out
            blocks.append({"hidden": hidden, "out": out, "stride": stride, "projection": projection})
            channels = out
    kinds = {"norm": norm, "activation": activation, "init": init}
    return {"inputs": inputs, "stem": stem, "small": small, "preactivation": preactivation, "blocks": blocks, **kinds}


class Block(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1, around which a shortcut leads."""

    def __init__(
        self,
        channels: int,
        hidden: Sequence[int],
        out: int,
        stride: int,
        projection: bool,
        preactivation: bool,
        kinds: tuple[str, str],
    ):
        super().__init__()
        widths = [channels, *hidden, out]
        kernels = (3, 3) if len(hidden) == 1 else (1, 3, 1)
        strides = (stride, 1) if len(hidden) == 1 else (1, stride, 1)
        bias = kinds[0] == "none"
        self.convs = nn.ModuleList(
            layers.convolution(widths[i], widths[i + 1], kernels[i], strides[i], bias=bias) for i in range(len(kernels))
        )
        normed = widths[:-1] if preactivation else widths[1:]
        self.norms = nn.ModuleList(layers.norm(kinds[0], width) for width in normed)
        self.activation = layers.activation(kinds[1])
        self.preactivation, self.projection, self.stride = preactivation, projection, stride
        if projection:
            self.shortcut = layers.convolution(channels, out, 1, stride, bias=bias)
            self.shortcut_norm = nn.Identity() if preactivation else layers.norm(kinds[0], out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, out, h / stride, w / stride)."""
        return self._before(x) if self.preactivation else self._after(x)

    def _after(self, x: Tensor) -> Tensor:
        y = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(conv(y if i == 0 else self.activation(y)))
        return self.activation(y + (self.shortcut_norm(self.shortcut(x)) if self.projection else x))

    def _before(self, x: Tensor) -> Tensor:
        first = y = self.activation(self.norms[0](x))
        for i, conv in enumerate(self.convs):
            y = conv(y if i == 0 else self.activation(self.norms[i](y)))
        return y + (self.shortcut(first) if self.projection else x)


class Backbone(nn.Module):
    """Stem and blocks; a map of the last block at each resolution.

    With `preactivation` the last map has passed a last norm and activation; the finer ones are bare sums.
    """

    def __init__(self, description: dict[str, Any]):
        super().__init__()
        self.description = description
        kinds = layers.common(description)
        self.small, self.preactivation = description["small"], description["preactivation"]
        channels, kernel, stride = description["stem"], *((3, 1) if self.small else (7, 2))
        bias = kinds[0] == "none"
        self.stem = layers.convolution(description["inputs"], channels, kernel, stride, bias=bias)
        self.stem_norm = nn.Identity() if self.preactivation else layers.norm(kinds[0], channels)
        self.activation = nn.Identity() if self.preactivation else layers.activation(kinds[1])
        self.blocks = nn.ModuleList()
        for block in description["blocks"]:
            self.blocks.append(Block(channels, **block, preactivation=self.preactivation, kinds=kinds))
            channels = block["out"]
        if self.preactivation:
            self.last_norm, self.last_activation = layers.norm(kinds[0], channels), layers.activation(kinds[1])
        self.taps = layers.taps(description, 1 if self.small else 4)
        self.channels = [description["blocks"][i]["out"] for i in self.taps]
        self.strides = list(self.taps.values())
        layers.initialise(self, description["init"], kinds[1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, inputs, H, W), raw 0-255 -> maps (B, C, H / s, W / s) for s in `strides`, rounded up."""
        x = self.activation(self.stem_norm(self.stem(layers.normalised(x))))
        if not self.small:
            x = F.max_pool2d(x, 3, 2, 1)
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.taps:
                maps.append(x)
        if self.preactivation:
            maps[-1] = self.last_activation(self.last_norm(x))
        return maps


def widths(network: Backbone) -> dict[str, Any]:
    """The description of what the layers are now."""
    blocks = []
    for block, old in zip(network.blocks, network.description["blocks"], strict=True):
        *hidden, out = (conv.out_channels for conv in block.convs)
        blocks.append(old | {"hidden": hidden, "out": out})
    return network.description | {"stem": network.stem.out_channels, "blocks": blocks}
