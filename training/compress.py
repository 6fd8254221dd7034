"""What every stage that makes a smaller model of another begins with."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from core import checkpoint, matrix, paths, stage, task
from core.checkpoint import Checkpoint
from core.task import Loaders
from training import hardware, parts
from training.watch import Watched, watched


class Base(NamedTuple):
    """The model that a smaller one is made of."""

    role: Any
    """The task's `model`."""
    checkpoint: Checkpoint
    network: nn.Module
    """With its weights."""
    loaders: Loaders
    """With its tokenizer or classes."""
    watched: Watched


def begin(ctx: stage.Context, settings: Any) -> Base:
    """The model that a smaller one is made of, and loaders to train that one; settings: its section of params."""
    hardware.prepare(ctx.threads, ctx.seed)
    role, data = task.load(ctx.task, "model"), task.load(ctx.task, "data")
    learnt = paths.trained_on(ctx.task, matrix.augments(ctx.params))
    ctx.run.dataset("train", learnt)
    base = checkpoint.load(paths.checkpoint(ctx.task, settings.of))
    network = role.build(base.arch)
    network.load_state_dict(base.weights)
    params = ctx.params.model_copy(update={"train": parts.smaller(settings.train)})
    clean = paths.clean(ctx.task)
    loaders = data.loaders(clean, learnt, params, ctx.seed, base.assets)
    return Base(role, base, network, loaders, watched(ctx.task, clean, ctx.params, settings.train, base.assets))


def relabelled(ctx: stage.Context, teacher: nn.Module, loaders: Loaders, settings: Any) -> Loaders:
    """Loaders whose targets come from `teacher`, where the task has such and its settings ask for them."""
    data = task.load(ctx.task, "data")
    if not hasattr(data, "relabelled"):
        return loaders
    params = ctx.params.model_copy(update={"train": parts.smaller(settings.train)})
    device = hardware.accelerator()
    if device == "cuda":  # each of several processes has its own card
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    found: Loaders = data.relabelled(loaders, teacher.to(device).eval(), settings, params, ctx.seed)
    return found


Loss = Callable[[nn.Module, Any], dict[str, Tensor]]
"""Of a network and a batch."""


def labelled(role: Any, params: Any) -> Loss:
    """The loss of the labels alone."""
    return lambda network, batch: cast("dict[str, Tensor]", role.loss(network, batch, params))


def taught(role: Any, teacher: nn.Module, settings: Any, params: Any) -> Loss:
    """The loss of the labels, and how far a smaller network is from `teacher`.

    The teacher lives in what is returned, not in the module that is trained: it is neither optimised nor saved.
    """
    teacher.eval().requires_grad_(False)

    def loss(network: nn.Module, batch: Any) -> dict[str, Tensor]:
        there = teacher.to(next(network.parameters()).device)
        return cast("dict[str, Tensor]", role.soft_targets(network, there, batch, settings, params))

    return loss
