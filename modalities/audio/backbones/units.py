"""Take units out of recurrent layers and channels out of convolutions, the weakest first (norms of weights: Li et al.
2017, https://arxiv.org/abs/1608.08710), with what reads them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compression.networks.pruning import nothing_left
from modalities.audio.backbones.bodies import Crnn, Dilated, Recurrent

ROUND_TO = 8
"""What is kept is a multiple of this, where there is so much."""


def prune(body: nn.Module, heads: list[nn.Linear], ratio: float) -> dict[str, list[int]]:
    """Remove `ratio` of each layer of `body` in place; heads: layers that read it.

    Returns: what has changed of the body's description. Raises: TrainingError where nothing of a layer would be left.
    """
    if isinstance(body, Dilated):
        return {"units": [_block(body, i, ratio) for i in range(len(body.gates))]}
    if isinstance(body, Recurrent):
        return {"units": _recurrent(body, heads, ratio)}
    assert isinstance(body, Crnn)
    convolutions = [_convolution(body, i, ratio) for i in range(len(body.convolutions))]
    units = _recurrent(body.recurrent, heads, ratio)
    body.width = body.recurrent.width
    return {"convolutions": convolutions, "units": units}


def _kept(scores: Tensor, ratio: float, name: str, what: str) -> Tensor:
    count = len(scores)
    kept = round(count * (1 - ratio) / ROUND_TO) * ROUND_TO or round(count * (1 - ratio))
    if not kept:
        raise nothing_left(name, count, what, ratio)
    return scores.argsort(descending=True, stable=True)[: min(kept, count)].sort().values


def _cut(owner: nn.Module, name: str, index: Tensor, axis: int) -> None:
    old = getattr(owner, name)
    new = old.detach().index_select(axis, index)
    setattr(owner, name, nn.Parameter(new) if isinstance(old, nn.Parameter) else new)


def _convolution(body: Crnn, i: int, ratio: float) -> int:
    layer, norm = body.convolutions[i], body.norms[i]
    kept = _kept(layer.weight.detach().flatten(1).norm(dim=1), ratio, f"convolutions.{i}", "channels")
    _cut(layer, "weight", kept, 0)
    for name in ("weight", "bias", "running_mean", "running_var"):
        _cut(norm, name, kept, 0)
    before, layer.out_channels = layer.out_channels, len(kept)
    norm.num_features = len(kept)
    if i + 1 < len(body.convolutions):
        _cut(body.convolutions[i + 1], "weight", kept, 1)
        body.convolutions[i + 1].in_channels = len(kept)
    else:
        bands = body.recurrent.ahead[0].input_size // before
        columns = (kept[:, None] * bands + torch.arange(bands)).flatten()
        _inputs(body.recurrent, 0, columns)
    return len(kept)


def _recurrent(body: Recurrent, heads: list[nn.Linear], ratio: float) -> list[int]:
    sizes = []
    for i in range(len(body.ahead)):
        layers = [body.ahead[i], *body.back[i : i + 1]]
        size = layers[0].hidden_size
        found: list[Tensor] = []
        for layer in layers:
            rows = sum(
                getattr(layer, name).detach().unflatten(0, (-1, size)).square().sum((0, 2)) for name in _MATRICES
            )
            kept = _kept(rows + layer.weight_hh_l0.detach().square().sum(0), ratio, f"units.{i}", "units")
            gates = layer.weight_ih_l0.shape[0] // size
            rows = (torch.arange(gates)[:, None] * size + kept).flatten()
            for name in (*_MATRICES, "bias_ih_l0", "bias_hh_l0"):
                _cut(layer, name, rows, 0)
            _cut(layer, "weight_hh_l0", kept, 1)
            layer.hidden_size = len(kept)
            found.append(kept + len(found) * size)
        columns = torch.cat(found)
        sizes.append(len(found[0]))
        if i + 1 < len(body.ahead):
            _inputs(body, i + 1, columns)
        else:
            for head in heads:
                _cut(head, "weight", columns, 1)
                head.in_features = len(columns)
    body.width = sizes[-1] * (1 + body.both)
    return sizes


_MATRICES = ("weight_ih_l0", "weight_hh_l0")


def _inputs(body: Recurrent, i: int, columns: Tensor) -> None:
    for layer in (body.ahead[i], *body.back[i : i + 1]):
        _cut(layer, "weight_ih_l0", columns, 1)
        layer.input_size = len(columns)


def _block(body: Dilated, i: int, ratio: float) -> int:
    gate, output = body.gates[i], body.outputs[i]
    inner = gate.out_channels // 2
    kept = _kept(
        gate.weight.detach().unflatten(0, (2, inner)).square().sum((0, 2, 3, 4)), ratio, f"gates.{i}", "channels"
    )
    for name in ("weight", "bias"):
        _cut(gate, name, torch.cat([kept, kept + inner]), 0)
    _cut(output, "weight", kept, 1)
    gate.out_channels, output.in_channels = 2 * len(kept), len(kept)
    return len(kept)
