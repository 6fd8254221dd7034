"""Structured pruning with torch-pruning (Fang et al. 2023): whole heads and feed-forward units leave.

Embeddings, the model's width and the output projection stay, since every layer shares them, and so do the states of
SSRUs; a recurrent network loses readout units.
What is removed has the least importance (`compression.networks.pruning.Importance`) over everything that belongs to a
head or a unit.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch_pruning
from torch import nn

from compression.networks.pruning import Importance, Shares, importance_of, nothing_left
from modalities.text.backbones.dropout import Dropout
from modalities.text.backbones.recurrent import Recurrent
from modalities.text.backbones.transformer import CrossAttention, FeedForward, SelfAttention


def prune(model: nn.Module, arch: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Remove `settings.ratio` of the feed-forward units and of the heads of every layer, rounded.

    Changes `model` in place, its dropout as well where `settings.dropout` says. Returns: the architecture of what is
    left.
    Raises: TrainingError when a layer would be left without a unit or a head.
    """
    if settings.dropout is not None:
        arch = arch | {"dropout": settings.dropout}
        for layer in model.modules():
            if isinstance(layer, Dropout):
                layer.take(settings.dropout)
    arch, by, shares = copy.deepcopy(arch), settings.importance, Shares.given(settings.ratio)
    if isinstance(model, Recurrent):
        arch["readout"] = _units("readout", model.readout, model.output, shares, by)
        model.zero_grad(set_to_none=True)
        model.arch = arch
        return arch
    for side in ("encoder", "decoder"):
        for i, (layer, sizes) in enumerate(zip(getattr(model, side), arch[side], strict=True)):
            name = f"{side} layer {i}"
            feed_forward: FeedForward = layer.feed_forward
            sizes["feed_forward"] = _units(
                f"{name} feed-forward", feed_forward.expand, feed_forward.contract, shares, by
            )
            if "heads" in sizes:
                sizes["heads"] = _heads(f"{name} self-attention", layer.attention, shares, by)
            if side == "decoder":
                sizes["cross_heads"] = _heads(f"{name} cross-attention", layer.cross, shares, by)
    model.zero_grad(set_to_none=True)
    model.arch = arch
    model.heads = [sizes["heads"] for sizes in arch["decoder"] if "heads" in sizes]
    model.cross_heads = [sizes["cross_heads"] for sizes in arch["decoder"]]
    return arch


def _units(name: str, expand: nn.Linear, contract: nn.Linear, shares: Shares, by: Importance) -> int:
    """Prune the units between two linear layers; returns how many are left."""
    importance = importance_of(expand.weight, by).sum(1) + importance_of(contract.weight, by).sum(0)
    dropped = _weakest(name, "units", importance, shares.of(name))
    torch_pruning.prune_linear_out_channels(expand, dropped)
    torch_pruning.prune_linear_in_channels(contract, dropped)
    return expand.out_features


def _heads(name: str, attention: SelfAttention | CrossAttention, shares: Shares, by: Importance) -> int:
    """Prune whole heads: their rows of every projection and their columns of the output; returns how many are left."""
    width = attention.head_width
    heads = attention.output.in_features // width
    fused = [attention.projection] if isinstance(attention, SelfAttention) else [attention.query, attention.key_value]
    importance = importance_of(attention.output.weight, by).sum(0).view(heads, width).sum(1)
    for layer in fused:
        importance += importance_of(layer.weight, by).sum(1).view(-1, heads, width).sum((0, 2))
    dropped = _weakest(name, "heads", importance, shares.of(name))
    columns = [head * width + i for head in dropped for i in range(width)]
    for layer in fused:
        parts = layer.out_features // (heads * width)
        rows = [part * heads * width + column for part in range(parts) for column in columns]
        torch_pruning.prune_linear_out_channels(layer, rows)
    torch_pruning.prune_linear_in_channels(attention.output, columns)
    return heads - len(dropped)


def _weakest(name: str, what: str, importance: torch.Tensor, ratio: float) -> Sequence[int]:
    count = len(importance)
    dropped = round(count * ratio)
    if dropped >= count:
        raise nothing_left(name, count, what, ratio)
    return sorted(importance.argsort()[:dropped].tolist())
