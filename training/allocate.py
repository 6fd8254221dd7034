"""The share of each layer that is pruned, measured on the network: see `compression.networks.allocation`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch
from torch import nn

from compression.networks import allocation
from compression.networks.allocation import Tried
from compression.networks.pruning import Shares
from core.errors import TrainingError
from training import results
from training.compress import Base, Loss

BATCHES = 4
"""On which losses are told, always the same."""


def shares(base: Base, settings: Any, loss: Loss) -> tuple[Shares, dict[str, list[Tried]]]:
    """What `prune` shall remove of each layer, and what was tried; the network stays as it is, gradients included.

    settings: with the share that all layers would lose; loss: of a network and a batch. One batch of `val` tells
    multiply-adds, the first ones of `train` the loss.
    """
    batches = list(islice(base.loaders.train, BATCHES))
    sized = next(iter(base.loaders.val))

    def made(ratio: float | Shares) -> nn.Module:
        network = copy.deepcopy(base.network)
        for mine, own in zip(network.parameters(), base.network.parameters(), strict=True):
            mine.grad = own.grad
        base.role.prune(network, base.checkpoint.arch, settings.model_copy(update={"ratio": ratio}))
        return network

    def look(ratio: Mapping[str, float]) -> tuple[float, float] | None:
        try:
            network = made(Shares(ratio)).eval()
        except TrainingError:  # nothing of the layer would be left
            return None
        with torch.no_grad():
            told = sum(float(loss(network, batch)["loss"]) for batch in batches) / len(batches)
        return told, float(results.macs(network, sized, loss))

    asked = Shares(settings.ratio)
    uniform = results.macs(made(asked), sized, loss)
    whole = results.macs(base.network, sized, loss)
    found = allocation.measured(asked.layers, settings.ratio, look)
    known: dict[tuple[tuple[str, float], ...], float] = {}

    def saved(ratio: Mapping[str, float]) -> float:
        key = tuple(sorted(ratio.items()))
        if key not in known:
            known[key] = whole - results.macs(made(Shares(ratio)), sized, loss)
        return known[key]

    return Shares(allocation.allocated(found, saved, whole - uniform)), found
