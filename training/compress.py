"""What every stage that makes a smaller model of another begins with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from compression.networks import distillation, parametrized, rounding
from core import checkpoint, matrix, paths, stage, task
from core.checkpoint import Checkpoint
from core.task import Loaders
from training import hardware, parts
from training.fit import Fitted, fit
from training.watch import Watched, watched


class Base(NamedTuple):
    """The model that a smaller one is made of, and its teacher."""

    role: Any
    """The task's `model`."""
    checkpoint: Checkpoint
    network: nn.Module
    """With its weights."""
    teacher: nn.Module
    """The same, or another variant with its weights; not to be changed."""
    loaders: Loaders
    """With its tokenizer or classes."""
    watched: Watched


def begin(ctx: stage.Context, settings: Any) -> Base:
    """The model that a smaller one is made of, and loaders to train that one; settings: its section of params."""
    hardware.prepare(ctx.learning_threads, ctx.seed)
    role, data = task.load(ctx.task, "model"), task.load(ctx.task, "data")
    learnt = paths.trained_on(ctx.task, matrix.augments(ctx.params))
    ctx.run.dataset("train", learnt)
    base = checkpoint.load(paths.checkpoint(ctx.task, settings.of))
    network = _loaded(role, base)
    teacher = copy.deepcopy(network)
    if settings.teacher not in (None, settings.of):
        teacher = _loaded(role, checkpoint.load(paths.checkpoint(ctx.task, settings.teacher)))
    params = ctx.params.model_copy(update={"train": parts.smaller(settings.train)})
    clean = paths.clean(ctx.task)
    loaders = data.loaders(clean, learnt, params, ctx.seed, base.assets)
    seen = watched(ctx.task, clean, ctx.params, settings.train, base.assets)
    return Base(role, base, network, teacher, loaders, seen)


def _loaded(role: Any, saved: Checkpoint) -> nn.Module:
    network: nn.Module = role.build(saved.arch)
    network.load_state_dict(saved.weights)
    return network


def relabelled(ctx: stage.Context, teacher: nn.Module, loaders: Loaders, settings: Any) -> Loaders:
    """Loaders whose targets come from `teacher`, where the task has such and its settings ask for them."""
    data = task.load(ctx.task, "data")
    if not hasattr(data, "relabelled"):
        return loaders
    params = ctx.params.model_copy(update={"train": parts.smaller(settings.train)})
    found: Loaders = data.relabelled(loaders, teacher.to(hardware.device()).eval(), settings, params, ctx.seed)
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


def learn(
    ctx: stage.Context,
    base: Base,
    network: nn.Module,
    arch: dict[str, Any],
    loaders: Loaders,
    loss: Loss,
    settings: Any,
) -> tuple[Checkpoint, Fitted]:
    """Train the smaller network in place, rounded where `settings.quantization_aware`; what of it ships."""
    if settings.quantization_aware:
        count = rounding.begin(network)
        print(f"{ctx.name}: {count} layers learn rounded to 8 bits")
    fitted = fit(ctx, base.role, network, loaders, loss, settings.train, base.watched)
    weights = distillation.shipped(parametrized.shipped(fitted.weights))
    return Checkpoint(arch, weights, base.checkpoint.assets), fitted
