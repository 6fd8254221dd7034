"""What makes a step of a gradient: torch's optimisers, by the names of params."""

from __future__ import annotations

from typing import Any

import torch


def build(groups: list[dict[str, Any]], settings: Any, fused: bool) -> torch.optim.Optimizer:
    """The optimiser that `settings` (`core.params.OptimizerParams`) names.

    groups: parameters with their `lr` and `weight_decay`; fused: one kernel for all weights.
    The step along the gradient: Robbins and Monro 1951; momentum: Polyak 1964, Nesterov 1983 in the form of Sutskever
    et al. 2013; adagrad: Duchi et al. 2011; adam: Kingma and Ba 2015; adamw: Loshchilov and Hutter 2019.
    """
    if settings.name == "sgd":
        return torch.optim.SGD(groups, momentum=settings.momentum, nesterov=settings.nesterov, fused=fused)
    if settings.name == "adagrad":
        return torch.optim.Adagrad(groups, eps=settings.eps, fused=fused)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.name]
    return kind(groups, betas=tuple(settings.betas), eps=settings.eps, fused=fused)
