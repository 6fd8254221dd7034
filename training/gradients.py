"""Gradients of the loss over some batches, by which pruning tells what matters; no weight changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

BATCHES = 32


def accumulate(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Callable[[nn.Module, Any], dict[str, Tensor]],
    count: int = BATCHES,
) -> None:
    """Leave in every parameter's `grad` the sum over `count` batches; the network computes as in use, without dropout
    and with BatchNorm's running statistics. Frozen parameters have one, too, and those without a part in the loss
    have zeros."""
    mode, frozen = model.training, [parameter for parameter in model.parameters() if not parameter.requires_grad]
    model.eval().requires_grad_(True)
    model.zero_grad(set_to_none=True)
    for batch in islice(batches, count):
        loss(model, batch)["loss"].backward()
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    for parameter in frozen:
        parameter.requires_grad_(False)
    model.train(mode)
