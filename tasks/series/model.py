"""Role `model` of series: a network that reads a window and says its next values, or classes of its steps.

An architecture holds the settings `SETTINGS`, the `layout` and `scale` of the data, and what the role `graphs` reads.

Shapes: B batch, W window, C values, H horizon, V targets, Q quantiles, K classes, S steps that are told (W or 1).
"""

from __future__ import annotations

import json
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.networks import distillation, pruning
from modalities.series.backbones.stacks import Dilated, Patches, Recurrent
from modalities.series.data import SCALE
from modalities.series.inputs.windows import FILE, described

SETTINGS = ("arch", "cell", "peephole", "width", "layers", "kernel", "patch", "heads", "dropout", "normalise")
FLOOR = 0.01
"""Of train's deviation, that is added to a window's: where hardly anything changes, noise would be blown up."""


class Network(nn.Module):
    """The network of an architecture, see the module."""

    def __init__(self, arch: dict[str, Any]):
        super().__init__()
        self.arch, plan = arch, arch["layout"]
        kind, width, layers, window = arch["arch"], arch["width"], arch["layers"], plan["window"]
        values, targets, quantiles = len(plan["values"]), len(plan["targets"]), len(arch["about"]["quantiles"])
        for of, scale in arch["scale"].items():
            for name, numbers in scale.items():
                self.register_buffer(f"{of}_{name}", torch.tensor(numbers), persistent=False)
        self.labels = plan["kind"] == "label"
        self.own = [plan["values"].index(name) for name in plan["targets"] if name in plan["values"]]
        self.each = kind in ("patch", "linear")  # every target from its own past, by the same weights
        told = [plan["horizon"], quantiles] if self.each else [plan["horizon"], targets, quantiles]
        inner, self.told = width, [len(plan["classes"])] if self.labels else told
        if kind == "dilated":
            self.body: nn.Module = Dilated(values, width, layers, arch["kernel"], arch["dropout"])
        elif kind == "patch":
            self.body = Patches(arch, window)
            inner = self.body.count * width
        elif kind == "linear":
            self.body, inner = nn.Identity(), window
        else:
            self.both = kind == "birnn"
            cell = arch["cell"] if kind in ("birnn", "seq2seq") else kind
            self.body = Recurrent(cell, values, width, layers, self.both, arch["peephole"])
            inner = 2 * width if self.both else width
        if kind == "seq2seq":
            self.decoder, self.told = Recurrent(cell, targets, width, layers), [targets, quantiles]
        self.head = nn.Linear(inner, math.prod(self.told))

    def forward(self, history: Tensor, future: Tensor | None = None) -> Tensor:
        """history: (B, W, C) in units of the data; future: (B, H, V), which seq2seq learns from (teacher forcing).

        Returns: (B, H, V, Q) in units of the data; of labels logits (B, S, K).
        """
        centre, spread = self.values_mean[None, None], self.values_std[None, None]
        low, wide = self.targets_mean[None, None], self.targets_std[None, None]
        if self.arch["normalise"] == "window":
            centre = history.mean(1, keepdim=True)
            spread = ((history - centre).square().mean(1, keepdim=True) + (FLOOR * spread).square()).sqrt()
            low, wide = centre[..., self.own], spread[..., self.own]
        elif self.arch["normalise"] == "none":
            centre, low, spread, wide = 0 * centre, 0 * low, spread**0, wide**0
        x = (history - centre) / spread
        if self.labels:
            y = self._features(x)
            return self.head(y if self.arch["layout"]["label_of"] == "step" else self._last(y)[:, None])
        if self.arch["arch"] == "seq2seq":
            y = self._decoded(x, None if future is None else (future - low) / wide)
        elif self.each:
            y = self.head(self.body(x[..., self.own].transpose(1, 2).flatten(0, 1)))
            y = y.unflatten(-1, self.told).unflatten(0, (-1, len(self.own))).transpose(1, 2)
        else:
            y = self.head(self._last(self._features(x))).unflatten(-1, self.told)
        return y * wide[..., None] + low[..., None]

    def _features(self, x: Tensor) -> Tensor:
        found = self.body(x)
        return found[0] if isinstance(found, tuple) else found

    def _last(self, y: Tensor) -> Tensor:
        """What is known at the end of a window; read backwards, at its beginning."""
        if self.arch["arch"] != "birnn":
            return y[:, -1]
        return torch.cat([y[:, -1, : self.arch["width"]], y[:, 0, self.arch["width"] :]], -1)

    def _decoded(self, x: Tensor, future: Tensor | None) -> Tensor:
        """The encoder's state is the context (Sutskever et al. 2014); each step is fed the one before it, the first
        the newest of the targets, or nothing where these are not seen."""
        _, states = self.body(x)
        targets, middle = len(self.arch["layout"]["targets"]), self.arch["about"]["quantiles"].index(0.5)
        one = x[:, -1:, self.own] if self.own else torch.zeros_like(x[:, -1:, :1]).expand(-1, -1, targets)
        if future is not None:
            return self.head(self.decoder(torch.cat([one, future[:, :-1]], 1), states)[0]).unflatten(-1, self.told)
        found = []
        for _ in range(self.arch["layout"]["horizon"]):
            y, states = self.decoder(one, states)
            found.append(self.head(y).unflatten(-1, self.told))
            one = found[-1][..., middle]
        return torch.cat(found, 1)


def architecture(params: Any, assets: dict[str, bytes]) -> dict[str, Any]:
    """The network that `params.model` asks for, of the data of `assets`."""
    settings = params.model.model_dump()
    data = {"layout": json.loads(assets[FILE]), "scale": json.loads(assets[SCALE])}
    about = {"quantiles": settings["quantiles"]}
    return {name: settings[name] for name in SETTINGS} | data | {"task": "series", "about": about}


def student(teacher: dict[str, Any], settings: Any) -> dict[str, Any]:
    """The teacher's network with another width, or other layers."""
    return teacher | {"width": settings.width, "layers": settings.layers}


def build(arch: dict[str, Any], initial: bool = False) -> Network:
    """The network in train mode."""
    return Network(arch).train()


def parameter_groups(model: nn.Module, train: Any) -> list[dict[str, Any]]:
    return [{"params": list(model.parameters()), "lr": train.lr, "weight_decay": train.weight_decay}]


def loss(model: nn.Module, batch: Any, params: Any) -> dict[str, Tensor]:
    """Of forecasts twice the pinball loss (Koenker and Bassett 1978), which is the mean absolute error of a median, or
    the mean squared error, in deviations of train; of labels the cross-entropy."""
    if model.labels:
        return {"loss": F.cross_entropy(model(batch["history"]).float().flatten(0, 1), batch["labels"].flatten())}
    forced = model.training and model.arch["arch"] == "seq2seq"
    given = model(batch["history"], batch["future"]) if forced else model(batch["history"])
    error = (batch["future"][..., None] - given.float()) / model.targets_std[:, None]
    if params.model.loss == "mse":
        return {"loss": error.square().mean()}
    levels = torch.tensor(model.arch["about"]["quantiles"], device=error.device)
    return {"loss": 2 * torch.maximum(levels * error, (levels - 1) * error).mean()}


def soft_targets(student: nn.Module, teacher: nn.Module, batch: Any, settings: Any, params: Any) -> dict[str, Tensor]:
    """(1 - soft_weight) * hard + soft_weight * soft: what the teacher forecasts as a target, or its classes.

    The teacher must be in eval mode; it gets no gradient. Raises: TrainingError when the two do not fit each other.
    """
    distillation.check({"layout": student.arch["layout"]}, {"layout": teacher.arch["layout"]})
    with torch.no_grad():
        wanted = teacher(batch["history"]).float()
    given = student(batch["history"]).float()
    if student.labels:
        soft = distillation.soft_targets(given.flatten(0, 1), wanted.flatten(0, 1), settings.temperature)
    else:
        soft = ((given - wanted) / student.targets_std[:, None]).abs().mean()
    hard = loss(student, batch, params)["loss"]
    total = (1 - settings.soft_weight) * hard + settings.soft_weight * soft
    return {"loss": total, "hard": hard.detach(), "soft": soft.detach()}


@torch.no_grad()
def predictions(model: nn.Module, batch: Any, assets: dict[str, bytes]) -> list[dict[str, Any]]:
    """Of a validation batch: what the exported model would say. The model must be in eval mode."""
    return [described(told, model.arch["layout"]["kind"]) for told in model(batch["history"]).float().cpu().numpy()]


def prune(model: nn.Module, arch: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Remove `settings.ratio` of the channels of a dilated network, in place; see `pruning.prune`.

    Returns: the architecture of what is left.
    """
    example = torch.zeros(1, arch["layout"]["window"], len(arch["layout"]["values"]))
    pruning.prune(model, example, settings.ratio, (model.head,), importance=settings.importance)
    model.arch = arch | {"width": model.body.inner.out_channels}
    return model.arch
