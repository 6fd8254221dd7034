"""What training watches on the validation split: the task's own metric, by the functions that `evaluate` scores with.

A task whose metric takes too long to be watched names a scalar of its loss instead (`model.PROXY`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from core import task
from core.better import Better


class Metric(Protocol):
    """Of one validation."""

    def update(self, model: nn.Module, batch: Any) -> None:
        """Take in a batch; the model is in eval mode."""

    def compute(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Watched:
    name: str
    """The metric of `compute()` by which an epoch is better than another."""
    better: Better
    new: Callable[[], Metric]
    """A fresh metric for one validation."""


def watched(name: str, dataset: Path, params: Any, train: Any, assets: dict[str, bytes]) -> Watched:
    """What the task `name` watches on `dataset`'s validation split.

    params: of the task; train: the section that says how it is trained; assets: that its checkpoint carries.
    """
    role = task.load(name, "model")
    if proxy := getattr(role, "PROXY", None):
        return Watched(proxy, "lower", lambda: MeanLoss(proxy, lambda net, batch: role.loss(net, batch, params)))
    scoring = task.load(name, "score")
    references = scoring.references(dataset, "val")

    def new() -> Metric:
        return Scores(role, scoring, references, params, assets, train.validate_samples)

    return Watched(scoring.MAIN, scoring.BETTER, new)


class Scores:
    """The task's metrics over the first `most` samples of a validation."""

    def __init__(
        self, role: Any, scoring: Any, references: list[Any], params: Any, assets: dict[str, bytes], most: int
    ):
        self.role, self.scoring, self.params, self.assets, self.most = role, scoring, params, assets, most
        self.all_references = references
        self.predictions: list[Any] = []
        self.references: list[Any] = []

    @torch.no_grad()
    def update(self, model: nn.Module, batch: Any) -> None:
        room = self.most - len(self.predictions)
        if room <= 0:
            return
        self.predictions += self.role.predictions(model, batch, self.assets)[:room]
        self.references += [self.all_references[int(i)] for i in batch["positions"][:room]]

    def compute(self) -> dict[str, float]:
        weighted = self.scoring.weighted(self.predictions, self.references, self.params)
        found: dict[str, float] = weighted(np.ones(len(self.references)))
        return found


class MeanLoss:
    """The mean of one of the loss's scalars over the validation batches."""

    def __init__(self, name: str, loss: Callable[[nn.Module, Any], dict[str, Tensor]]):
        self.name, self.loss = name, loss
        self.values: list[float] = []

    @torch.no_grad()
    def update(self, model: nn.Module, batch: Any) -> None:
        self.values.append(float(self.loss(model, batch)[self.name]))

    def compute(self) -> dict[str, float]:
        return {self.name: float(np.mean(self.values))}
