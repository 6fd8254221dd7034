"""The learning rate over a training: linear warm-up, then cosine, steps, a constant, or lower at each plateau.

Every schedule is a multiplier of a parameter group's own `lr`, which differs between groups.
"""

from __future__ import annotations

import math
from typing import Any

from torch.optim.lr_scheduler import LambdaLR

from core.better import Better, loss, worst


def warmup(step: int, steps: int) -> float:
    """At `step` (from 0) of `steps` that rise linearly to 1 (Goyal et al. 2017, section 2.2)."""
    return (step + 1) / steps


def cosine(step: int, first: int, total: int, floor: float) -> float:
    """From 1 at step `first` to `floor` at step `total` (Loshchilov and Hutter 2017, equation 5, without restarts)."""
    progress = min(1.0, (step - first) / max(1, total - first))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def stairs(step: int, every: int, factor: float) -> float:
    """`factor` times less after each `every` steps, counted from the start."""
    return float(factor ** (step // every))


class Schedule:
    """The multiplier at a step.

    Its attributes are plain values: torch's LambdaLR saves those of a callable object with a checkpoint.

    train: `core.params.TrainParams`; steps: optimiser steps of an epoch; better: direction of the watched metric.
    """

    def __init__(self, train: Any, steps: int, better: Better):
        own = train.schedule
        self.name, self.floor, self.factor, self.patience = own.name, own.floor, own.factor, own.patience
        self.warmup, self.every, self.total = train.warmup_steps, own.epochs * steps, train.epochs * steps
        self.better, self.best = better, worst(better)
        self.waited, self.share = 0, 1.0

    def __call__(self, step: int) -> float:
        """At `step`, from 0."""
        if step < self.warmup:
            return warmup(step, self.warmup) * self.share
        if self.name == "cosine":
            return cosine(step, self.warmup, self.total, self.floor)
        if self.name == "step":
            return stairs(step, self.every, self.factor)
        return self.share  # constant, plateau

    def lowered(self, value: float) -> bool:
        """Take in the watched metric of a validation; whether the multiplier is lower from now on.

        On a plateau: after `patience` validations none of which was better than the best before them; then it waits
        as long again.
        """
        if self.name != "plateau":
            return False
        if loss(value, self.best, self.better) < 0:
            self.best, self.waited = value, 0
            return False
        self.waited += 1
        if self.waited < self.patience or self.share <= self.floor:
            return False
        self.waited, self.share = 0, max(self.floor, self.share * self.factor)
        return True


def apply(scheduler: LambdaLR) -> None:
    """Set the rates of the next step anew: the schedule has changed since torch did, after the last one."""
    rows = zip(scheduler.optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
    for group, rate, multiplier in rows:
        group["lr"] = rate * multiplier(scheduler.last_epoch)
