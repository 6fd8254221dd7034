"""Single weights that become zero and stay so while the others are trained: the weakest, or all but N of M neighbours.

Unstructured: Han et al. 2015, https://arxiv.org/abs/1506.02626, each relative to its layer: Lee et al. 2021 (LAMP),
https://arxiv.org/abs/2010.07611. N:M: Zhou et al. 2021, https://arxiv.org/abs/2102.04010.
Kernels that skip zeros are few: of N:M those of GPUs from NVIDIA's Ampere on for 2:4, of any other none that ONNX
Runtime has. What is gained is measured by quality at a share that is removed, and by the size of a packed file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from compression.networks.pruning import Importance, importance_of
from core.errors import TrainingError

Scaling = Literal["layer", "none"]
"""Of the scores of single weights before all of them are compared."""


class Mask(nn.Module):
    """What a weight is multiplied with: 1 where it stays."""

    kept: Tensor

    def __init__(self, kept: Tensor):
        super().__init__()
        self.register_buffer("kept", kept)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.kept


def prune(
    model: nn.Module, ratio: float, pattern: str, importance: Importance, scaling: Scaling | None = None
) -> tuple[int, int]:
    """Set weights of convolutions and linear layers to zero, in place, for as long as the model is trained.

    ratio: share that goes, with `pattern` `weights` of all these layers together, so not of tables of words and of
    recurrent layers; an `N:M` keeps N of each M that a channel reads one after the other, and leaves a layer whose
    inputs are no multiple of M, as kernels do. importance: of each weight, see `pruning.importance_of`; scaling: of
    these scores, with `pattern` `weights`: `layer`, see `relative`, or `none`; None: `layer` of magnitudes, `none` of
    what the loss tells, which has one unit in all layers.
    Returns: how many weights are zero, of how many that might be.
    Raises: TrainingError where a pattern fits no layer.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    if pattern == "weights":
        scores = [importance_of(layer.weight, importance) for layer in layers]
        if (scaling or ("layer" if importance == "magnitude" else "none")) == "layer":
            scores = [relative(score) for score in scores]
        kept = _strongest(scores, ratio)
    else:
        count, group = map(int, pattern.split(":"))
        layers = [layer for layer in layers if layer.weight.shape[1] % group == 0]
        if not layers:
            raise TrainingError(f"prune.pattern: {pattern} fits no layer: none reads a multiple of {group} numbers")
        kept = [_neighbours(importance_of(layer.weight, importance), count, group) for layer in layers]
    for layer, mask in zip(layers, kept, strict=True):
        parametrize.register_parametrization(layer, "weight", Mask(mask.to(layer.weight.dtype)))
    model.requires_grad_(True).zero_grad(set_to_none=True)
    total = sum(mask.numel() for mask in kept)
    return total - sum(int(mask.sum()) for mask in kept), total


def relative(score: Tensor) -> Tensor:
    """Each score over the sum of all in its layer that are no smaller (Lee et al. 2021, equation 4, of squared
    weights); of equals the first is the smaller one.

    The largest has 1, so every layer keeps one weight before any loses all; a layer of small weights is not worth less.
    """
    order = score.flatten().double().sort(stable=True)
    rest = order.values.flip(0).cumsum(0).flip(0)
    found = torch.zeros_like(rest)
    found[order.indices] = order.values / rest.clamp_min(torch.finfo(torch.float64).tiny)
    return found.view_as(score)


def _strongest(scores: Sequence[Tensor], ratio: float) -> list[Tensor]:
    """All but the `ratio` that score least, of all together; of equals those go that come first."""
    flat = torch.cat([score.flatten() for score in scores])
    kept = torch.ones_like(flat, dtype=torch.bool)
    kept[flat.argsort(stable=True)[: round(ratio * len(flat))]] = False
    parts = kept.split([score.numel() for score in scores])
    return [part.view_as(score) for part, score in zip(parts, scores, strict=True)]


def _neighbours(score: Tensor, count: int, group: int) -> Tensor:
    """The `count` best of each `group` neighbours along the inputs."""
    moved = score.movedim(1, -1)
    groups = moved.reshape(-1, group)
    best = F.one_hot(groups.topk(count, dim=1).indices, group).sum(1)
    return best.reshape(moved.shape).movedim(-1, 1).bool()
