"""Layers that the backbones share: normalisation, activation, initial weights, and where feature maps are taken.

Shapes: B batch, C channels, H and W height and width of the network's input, h and w of a map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

GROUPS = 32
"""Of `group` normalisation, where the channels can be divided so (Wu & He 2018, arXiv:1803.08494, section 3.1)."""
ACTIVATIONS = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "swish": nn.SiLU,
}
"""swish is x * sigmoid(x) (Ramachandran et al. 2017, arXiv:1710.05941)."""


def normalised(x: Tensor) -> Tensor:
    """Pixels 0-255 -> about -1 to 1."""
    return (x - 127.0) * (1 / 128.0)


class Convolution(nn.Conv2d):
    """`nn.Conv2d`, but a depthwise one stays in fp32 under autocast on a CPU.

    oneDNN's bf16 backward of 5x5 and strided depthwise convolutions is 5 to 20 times slower than its fp32 one.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.groups > 1 and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float()).to(x.dtype)
        return super().forward(x)


def convolution(
    channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1, bias: bool = False
) -> Convolution:
    """A convolution whose output has the input's size divided by `stride`; a norm after it makes a bias idle."""
    return Convolution(channels, out, kernel, stride, kernel // 2, groups=groups, bias=bias)


class GroupNorm(nn.GroupNorm):
    """Normalisation over groups of channels whose number follows from the channels, also when these are pruned.

    kind: `layer`, one group (LayerNorm over C, h and w: Ba et al. 2016, arXiv:1607.06450); `instance`, a group a
    channel (Ulyanov et al. 2016, arXiv:1607.08022); `group`, the greatest common divisor of channels and `GROUPS`.
    """

    def __init__(self, kind: str, channels: int):
        super().__init__(1, channels)  # to torch-pruning one group: any channel may leave
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        groups = {"layer": 1, "instance": self.num_channels, "group": math.gcd(self.num_channels, GROUPS)}[self.kind]
        # Not torch.nn.functional's, which refuses a single value a group: one image whose map is 1 x 1.
        return torch.group_norm(x, groups, self.weight, self.bias, self.eps)


def norm(kind: str, channels: int, dimensions: int = 2) -> nn.Module:
    """batch | layer | instance | group | none, over (B, C, h, w), or over (B, C) with `dimensions` 0."""
    if kind == "none":
        return nn.Identity()
    if kind == "batch":
        return nn.BatchNorm2d(channels) if dimensions else nn.BatchNorm1d(channels)
    return GroupNorm(kind, channels)


def activation(kind: str) -> nn.Module:
    """One of `ACTIVATIONS`."""
    return ACTIVATIONS[kind]()


def initialise(network: nn.Module, kind: str, activation: str) -> None:
    """Draw the weights of every convolution and linear layer, and set their biases to 0.

    kind: `he`, normal with variance gain^2 / fan-in (He et al. 2015, arXiv:1502.01852, equation 10); `xavier`, uniform
    with variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010, equation 16); `normal`, standard deviation 0.01.
    """
    leaky = activation == "leaky_relu"
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        if kind == "he":
            slope = nn.LeakyReLU().negative_slope if leaky else 0.0
            nn.init.kaiming_normal_(module.weight, a=slope, nonlinearity="leaky_relu" if leaky else "relu")
        elif kind == "xavier":
            nn.init.xavier_uniform_(module.weight)
        else:
            nn.init.normal_(module.weight, std=0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def common(description: dict[str, Any]) -> tuple[str, str]:
    """Kinds of norm and activation of a description."""
    return description["norm"], description["activation"]


def taps(description: Mapping[str, Any], first: int) -> dict[int, int]:
    """Index of a block that gives a map -> its stride: of each where the description says `every`, else of the last at
    each resolution. first: the stride before the first block."""
    found: dict[int, int] = {}
    total = first
    for i, block in enumerate(description["blocks"]):
        total *= block["stride"]
        found[i] = total
    if description.get("every"):
        return found
    last = {stride: i for i, stride in found.items()}
    return {i: stride for stride, i in last.items()}


def share(count: int, depth: float) -> int:
    """How many of a stage's blocks are kept: at least the first, which alone changes stride and width."""
    return max(1, round(count * depth))


def eighths(width: float) -> int:
    """The nearest multiple of 8, not more than a tenth below `width`, as MobileNets scale their widths.

    https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet/mobilenet.py (`_make_divisible`)
    """
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded
