"""The LightningModule: a task's loss, the optimiser and its schedule, and an averaged copy of the weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import TrainingError
from training import compiled, formats, hardware, optimizer, schedule
from training.average import Average
from training.engine import pl
from training.watch import Watched

Loss = Callable[[nn.Module, Any], dict[str, Tensor]]


class Learner(pl.LightningModule):
    """Trains `model` and validates `shipped`, the average of its weights when there is one.

    role: the task's `model` module; loss: (model, batch) -> scalars with `loss`; train: `TrainParams`;
    steps: optimiser steps of an epoch.
    """

    def __init__(self, model: nn.Module, role: Any, loss: Loss, watched: Watched, train: Any, steps: int):
        super().__init__()
        self.role, self.loss, self.watched, self.settings = role, loss, watched, train
        self.channels_last: bool | None = getattr(train, "channels_last", None)
        self.model = formats.laid(model, self.channels_last)
        self.schedule = schedule.Schedule(train, steps, watched.better)
        # One kernel for all weights: 29 ms a step less for 5 million. With fp16's scaler, or weights that are sharded
        # over GPUs, Lightning must clip the gradients itself and does not do so for fused optimisers.
        self.fused = train.strategy != "fsdp" and hardware.precision(train.precision) != "16-mixed"
        # In a tuple, or its weights would be the module's a second time, by other names.
        dynamic = self.channels_last is None  # sentences have many lengths, pictures one size
        self.stepped = (compiled.compiled(self.model, dynamic) if train.compile else self.model,)
        self.averaged = 0
        """The step that the average has taken in last."""
        self.average = copy.deepcopy(model).eval().requires_grad_(False) if train.ema_decay else None

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return formats.pictures(batch, self.channels_last)

    def on_train_start(self) -> None:
        self.averaging: Average | None = None  # made anew where the networks are now

    @property
    def shipped(self) -> nn.Module:
        return self.model if self.average is None else self.average

    def training_step(self, batch: Any, index: int) -> Tensor:
        parts = self.loss(self.stepped[0], batch)
        if not torch.isfinite(parts["loss"]):
            shown = {name: float(value.detach()) for name, value in parts.items()}
            rate = self.optimizers().param_groups[0]["lr"]
            raise TrainingError(
                f"the loss is not finite at epoch {self.current_epoch}, batch {index} (learning rate {rate:.2g}): "
                f"{shown}. "
                'Lower `lr` or `clip_norm`, or set `precision: "32"`, and run again; changed params train afresh.'
            )
        self.latest = {name: value.detach() for name, value in parts.items()}
        return parts["loss"]

    def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
        if self.average is None or self.averaged == self.global_step:  # a part of a batch, without a step
            return
        self.averaged = self.global_step
        # A young average forgets faster (Tarvainen and Valpola 2017), or it would stay near the random start.
        decay = min(self.settings.ema_decay, (1 + self.global_step) / (10 + self.global_step))
        if self.averaging is None:
            self.averaging = Average(self.average, self.model)
        self.averaging.update(decay)
        if self.settings.strategy == "fsdp":  # which gives out other tensors at each step
            self.averaging = None

    def on_validation_epoch_start(self) -> None:
        self.metric = self.watched.new()

    def validation_step(self, batch: Any, index: int) -> None:
        self.metric.update(self.shipped, batch)

    def on_validation_epoch_end(self) -> None:
        values = self.metric.compute()
        self.log_dict({f"val/{name}": float(value) for name, value in values.items()})
        if self.schedule.lowered(float(values[self.watched.name])):
            schedule.apply(self.scheduled)

    def configure_gradient_clipping(self, optimizer: Any, *limits: Any, **named: Any) -> None:
        if not self.fused:
            super().configure_gradient_clipping(optimizer, *limits, **named)
        elif self.settings.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        elif self.settings.clip_value:
            nn.utils.clip_grad_value_(self.model.parameters(), self.settings.clip_value)

    def configure_optimizers(self) -> Any:
        groups = self.role.parameter_groups(self.model, self.settings)
        made = optimizer.build(groups, self.settings.optimizer, self.fused)
        self.scheduled = torch.optim.lr_scheduler.LambdaLR(made, self.schedule)
        return {"optimizer": made, "lr_scheduler": {"scheduler": self.scheduled, "interval": "step"}}
