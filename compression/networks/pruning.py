"""Structured pruning with torch-pruning (Fang et al. 2023, DepGraph, https://arxiv.org/abs/2301.12900)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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


class Shares:
    """What is removed of each layer: of all the same, or of each by its name and of others nothing."""

    def __init__(self, ratio: float | Mapping[str, float]):
        self.ratio = ratio
        self.layers: list[str] = []
        """The names that were asked for, each once: the layers that may lose something."""

    @classmethod
    def given(cls, ratio: float | Shares) -> Shares:
        return ratio if isinstance(ratio, Shares) else cls(ratio)

    def of(self, layer: str) -> float:
        if layer not in self.layers:
            self.layers.append(layer)
        return self.ratio.get(layer, 0.0) if isinstance(self.ratio, Mapping) else self.ratio


def prune(
    model: nn.Module,
    example: Tensor,
    ratio: float | Shares,
    ignored: Collection[nn.Module | nn.Parameter] = (),
    round_to: int = ROUND_TO,
    output_transform: Callable[[Any], Any] | None = None,
    importance: Importance = "magnitude",
) -> None:
    """Remove `ratio` of the output channels of every convolution and linear layer, the weakest first, in place; what
    was frozen is trained again, since every layer must recover. Layers whose channels are added or multiplied lose the
    same ones; each keeps a multiple of `round_to`.

    ratio: of layers that lose the same channels, the first's name tells; example: an input, batch 1; ignored: modules
    that keep their outputs (the layers that predict), and parameters that are in no module; output_transform: makes
    tensors of what `model` returns, when that is neither one nor a list; importance: L2 norm of everything that a
    channel takes part in; for `taylor` every parameter has its gradient.
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
    mode = model.training
    model.eval().requires_grad_(True)  # torch-pruning follows gradients through the graph
    firsts = _firsts(model, example, ignored, output_transform)
    ratios = _ratios(model, Shares.given(ratio), firsts, ignored, round_to)
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


def _firsts(
    model: nn.Module,
    example: Tensor,
    ignored: Collection[nn.Module | nn.Parameter],
    output_transform: Callable[[Any], Any] | None,
) -> dict[nn.Module, str]:
    """Each layer that may lose channels -> the name of the first of those that lose the same."""
    import torch_pruning as tp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = tp.DependencyGraph().build_dependency(
            model, example, output_transform=output_transform, ignored_params=_parameters(ignored)
        )
    names = {layer: name for name, layer in model.named_modules()}
    firsts: dict[nn.Module, str] = {}
    for group in graph.get_all_groups(ignored_layers=[*_modules(ignored)], root_module_types=[nn.Conv2d, nn.Linear]):
        first = group[0].dep.target.module
        for dependency, _ in group:
            layer = dependency.target.module
            if isinstance(layer, nn.Conv2d | nn.Linear) and graph.is_out_channel_pruning_fn(dependency.handler):
                firsts.setdefault(layer, names[first])
    return firsts


def _ratios(
    model: nn.Module,
    shares: Shares,
    firsts: Mapping[nn.Module, str],
    ignored: Collection[nn.Module | nn.Parameter],
    round_to: int,
) -> dict[nn.Module, float]:
    """Ratio of each layer after rounding; coupled layers have one width and so one ratio."""
    left_alone = set(_modules(ignored))
    ratios: dict[nn.Module, float] = {}
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear) or layer in left_alone:
            continue
        width = layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features
        wanted = shares.of(firsts.get(layer, name))
        kept = width * (1 - wanted)
        if round(kept) < 1:
            raise nothing_left(name, width, "channels" if isinstance(layer, nn.Conv2d) else "units", wanted)
        kept = round(kept / round_to) * round_to or round(kept)
        ratios[layer] = max(0.0, 1 - (kept + 0.5) / width) if wanted else 0.0  # torch-pruning rounds what is kept down
    return ratios


def _modules(ignored: Iterable[nn.Module | nn.Parameter]) -> Iterator[nn.Module]:
    """The modules among them, with all inside."""
    for item in ignored:
        if isinstance(item, nn.Module):
            yield from item.modules()


def _parameters(ignored: Iterable[nn.Module | nn.Parameter]) -> list[nn.Parameter]:
    return [item for item in ignored if isinstance(item, nn.Parameter)]
