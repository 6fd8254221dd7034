"""Structured pruning with torch-pruning (Fang et al. 2023, DepGraph, https://arxiv.org/abs/2301.12900)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.errors import TrainingError

ROUND_TO = 16
"""Kept channels are a multiple of this where a layer has that many: int8 kernels of depthwise convolutions were 1.5 to
1.7 times slower with 24, 120 or 568 channels than with multiples of 16."""

Importance = Literal["magnitude", "taylor", "bn_scale"]
"""Norms of weights (Li et al. 2017, https://arxiv.org/abs/1608.08710); first-order changes of the loss, weight by
weight (Molchanov et al. 2019, https://arxiv.org/abs/1906.10771, who take them by gates); BatchNorm's scale (Liu et al.
2017, https://arxiv.org/abs/1708.06519)."""


def prune(
    model: nn.Module,
    example: Tensor,
    ratio: float,
    ignored: Collection[nn.Module | nn.Parameter] = (),
    round_to: int = ROUND_TO,
    output_transform: Callable[[Any], Any] | None = None,
    importance: Importance = "magnitude",
) -> None:
    """Remove `ratio` of the output channels of every convolution and linear layer, the weakest first, in place; what
    was frozen is trained again, since every layer must recover. Layers whose channels are added or multiplied lose the
    same ones; each keeps a multiple of `round_to`.

    example: an input, batch 1; ignored: modules that keep their outputs (the layers that predict), and parameters that
    are in no module; output_transform: makes tensors of what `model` returns, when that is neither one nor a list;
    importance: L2 norm of everything that a channel takes part in; for `taylor` every parameter has its gradient.
    Raises: TrainingError naming the first layer of which nothing would be left, or where there is no BatchNorm to tell
    the importance by.
    """
    import torch_pruning as tp

    if importance == "bn_scale" and not any(
        isinstance(layer, _BatchNorm) and layer.affine for layer in model.modules()
    ):
        raise TrainingError("prune.importance: bn_scale needs BatchNorm layers, and there is none; take magnitude")
    scores = {
        "magnitude": tp.importance.GroupMagnitudeImportance(p=2),
        "taylor": tp.importance.GroupTaylorImportance(),
        "bn_scale": tp.importance.BNScaleImportance(),
    }
    ratios = _ratios(model, ratio, ignored, round_to)
    mode = model.training
    model.eval().requires_grad_(True)  # torch-pruning follows gradients through the graph
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parameters that are in no module
        pruner = tp.pruner.MagnitudePruner(
            model,
            example,
            importance=scores[importance],
            pruning_ratio_dict=ratios,
            ignored_layers=list(ignored),
            output_transform=output_transform,
        )
    pruner.step()
    model.zero_grad(set_to_none=True)
    model.train(mode)


def importance_of(parameter: nn.Parameter, importance: Importance) -> Tensor:
    """Of each number of a parameter, in its shape: the square, or how much the loss of a batch would change to first
    order without it."""
    if importance == "taylor":
        assert parameter.grad is not None
        return (parameter.detach() * parameter.grad).abs()
    return parameter.detach().square()


def nothing_left(layer: str, count: int, what: str, ratio: float) -> TrainingError:
    """The error of a layer (its name) that would lose all of its `count` channels, units or heads."""
    return TrainingError(
        f"pruning with ratio {ratio} leaves nothing of layer {layer} ({count} {what}); "
        f"the largest ratio for it is {1 - 1 / count:.2f}"
    )


def _ratios(
    model: nn.Module, ratio: float, ignored: Collection[nn.Module | nn.Parameter], round_to: int
) -> dict[nn.Module, float]:
    """Ratio of each layer after rounding; coupled layers have one width and so one ratio."""
    modules = (item for item in ignored if isinstance(item, nn.Module))
    left_alone = {inner for module in modules for inner in module.modules()}
    ratios: dict[nn.Module, float] = {}
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear) or layer in left_alone:
            continue
        width = layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features
        kept = width * (1 - ratio)
        if round(kept) < 1:
            raise nothing_left(name, width, "channels" if isinstance(layer, nn.Conv2d) else "units", ratio)
        kept = round(kept / round_to) * round_to or round(kept)
        ratios[layer] = max(0.0, 1 - (kept + 0.5) / width)  # torch-pruning rounds what is kept down
    return ratios
