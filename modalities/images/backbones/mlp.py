"""A multilayer perceptron on the pixels of pictures of one size: what a network without convolutions can do.

Shapes: B batch, H and W the fixed height and width of the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from modalities.images.backbones import layers


def description(
    size: Sequence[int],
    widths: Sequence[int] = (256, 128),
    norm: str = "none",
    activation: str = "relu",
    init: str = "he",
    inputs: int = 3,
) -> dict[str, Any]:
    """`inputs` colours, `size` [H, W] and units of each layer."""
    kinds = {"norm": norm, "activation": activation, "init": init}
    return {"inputs": inputs, "size": list(size), "widths": list(widths), **kinds}


class Backbone(nn.Module):
    """Linear layers, each with norm and activation."""

    def __init__(self, description: dict[str, Any]):
        super().__init__()
        self.description = description
        kind, activation = layers.common(description)
        units = description["inputs"] * description["size"][0] * description["size"][1]
        self.linears, self.norms = nn.ModuleList(), nn.ModuleList()
        for width in description["widths"]:
            self.linears.append(nn.Linear(units, width, bias=kind == "none"))
            self.norms.append(layers.norm(kind, width, dimensions=0))
            units = width
        self.activation = layers.activation(activation)
        self.channels = [units]
        self.strides = None
        layers.initialise(self, description["init"], activation)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, inputs, H, W), raw 0-255 -> one map (B, units, 1, 1)."""
        x = layers.normalised(x).flatten(1)
        for linear, norm in zip(self.linears, self.norms, strict=True):
            x = self.activation(norm(linear(x)))
        return [x[:, :, None, None]]


def widths(network: Backbone) -> dict[str, Any]:
    """The description of what the layers are now."""
    return network.description | {"widths": [linear.out_features for linear in network.linears]}
