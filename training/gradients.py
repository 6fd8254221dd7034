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
    """Leave in every parameter's `grad` the root mean square over `count` batches: a mean would be next to nothing
    where training has ended, though each batch needs the parameter.

    The network computes as in use, without dropout and with BatchNorm's running statistics. Frozen parameters have a
    gradient, too, and those without a part in the loss have zeros.
    """
    mode, frozen = model.training, [parameter for parameter in model.parameters() if not parameter.requires_grad]
    model.eval().requires_grad_(True)
    squares = [torch.zeros_like(parameter) for parameter in model.parameters()]
    taken = 0
    for batch in islice(batches, count):
        model.zero_grad(set_to_none=True)
        loss(model, batch)["loss"].backward()
        for square, parameter in zip(squares, model.parameters(), strict=True):
            if parameter.grad is not None:
                square.add_(parameter.grad.square())
        taken += 1
    for square, parameter in zip(squares, model.parameters(), strict=True):
        parameter.grad = (square / max(taken, 1)).sqrt()
    for parameter in frozen:
        parameter.requires_grad_(False)
    model.train(mode)
