"""Quantization-aware training: weights and activations rounded in the forward pass as int8 rounds them, gradients as if
they were not (Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 3; the straight-through estimator of Bengio
et al. 2013, https://arxiv.org/abs/1308.3432).

What is trained this way is exported and quantized as any other model; only its weights have learnt to be rounded.
Weights have a scale for each output channel: so a BatchNorm that is folded into them later changes no rounding.
Activations have one for the tensor, from the least and largest number of the batch. Nothing is remembered between two
batches, so a training that was killed goes on as if it had not been.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from compression.networks.distillation import REGRESSORS

WEIGHTS = 127
"""Steps of a weight to either side of zero."""
ACTIVATIONS = 255
"""Steps of an activation from its least to its largest number."""


class Rounded(nn.Module):
    """A weight (its output channels along dimension 0) as it is read from int8."""

    def forward(self, weight: Tensor) -> Tensor:
        reach = weight.detach().abs().flatten(1).amax(1)
        scale = (reach / WEIGHTS).clamp_min(torch.finfo(torch.float32).tiny)
        zeros = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale.float(), zeros, 0, -WEIGHTS, WEIGHTS)


def rounded(x: Tensor) -> Tensor:
    """Activations, of any shape, in 256 steps between their least and largest number and zero, which stays exact."""
    with torch.no_grad():
        low, high = x.amin().clamp_max(0).float(), x.amax().clamp_min(0).float()
        scale = ((high - low) / ACTIVATIONS).clamp_min(torch.finfo(torch.float32).tiny)
        zero = (-low / scale).round().to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(x.float(), scale, zero, 0, ACTIVATIONS).to(x.dtype)


def begin(model: nn.Module) -> int:
    """Round what convolutions and linear layers read and multiply with, in place, from now on; returns how many.

    Not what training alone has (`distillation.attach`), nor tables of words and recurrent layers, which stay in float.
    """
    layers = [
        layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and not name.startswith(f"{REGRESSORS}.")
    ]
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", Rounded())
        layer.register_forward_pre_hook(_inputs)
    return len(layers)


def _inputs(layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return (rounded(given[0]), *given[1:])
