"""BatchNorm statistics of a network that was changed without training, e.g. pruned."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import torch
from torch import nn

BATCHES = 32


def reestimate(
    model: nn.Module, batches: Iterable[Any], forward: Callable[[nn.Module, Any], Any], count: int = BATCHES
) -> int:
    """Set the running mean and variance of every BatchNorm to the average over `count` batches, in place.

    Fine-tuning alone would take hundreds of steps to forget the old ones (momentum 0.01 keeps 46 % after 78 steps), and
    until then the network that is validated is not the one that is trained. The average over batches is "PreciseBN",
    Wu and Johnson 2021, https://arxiv.org/abs/2105.07576, section 3; for pruned networks: Li et al. 2020,
    https://arxiv.org/abs/2007.02491.

    forward: runs the model on a batch. Returns: how many layers there are; without any, nothing runs.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        return 0
    momenta, mode = [layer.momentum for layer in layers], model.training
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's name for the plain average over all batches
    model.train()
    for layer in layers:
        layer.train()  # also where training keeps what it begins with
    with torch.no_grad():
        for batch in islice(batches, count):
            forward(model, batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.train(mode)
    return len(layers)
