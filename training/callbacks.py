"""What happens beside the steps: the best weights are kept, curves recorded, progress told in plain lines."""

from __future__ import annotations

import math
import time
from typing import Any

import torch

from core.better import Better, loss, worst
from core.errors import TrainingError
from training.engine import pl
from training.module import Learner


class Best(pl.Callback):
    """Keeps the weights of the validation with the best task metric, and stops after `patience` without a better."""

    def __init__(self, monitor: str, better: Better, patience: int | None):
        self.monitor, self.better, self.patience = monitor, better, patience
        self.value, self.epoch, self.waited = worst(better), -1, 0
        self.weights: dict[str, torch.Tensor] = {}

    @property
    def enough(self) -> bool:
        """Whether there were `patience` validations in a row without a better one."""
        return self.patience is not None and self.waited >= self.patience

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        assert isinstance(module, Learner)
        value = float(trainer.callback_metrics[self.monitor])
        if not math.isfinite(value):
            raise TrainingError(f"{self.monitor} is {value} at epoch {trainer.current_epoch}; expected a finite number")
        if loss(value, self.value, self.better) < 0:
            self.value, self.epoch, self.waited = value, trainer.current_epoch, 0
            self.weights = {k: v.detach().cpu().clone() for k, v in module.shipped.state_dict().items()}
        else:
            self.waited += 1
            trainer.should_stop |= self.enough

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        trainer.should_stop |= self.enough  # killed between the last epoch and the stage's end

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "epoch": self.epoch, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value, self.epoch = state["value"], state["epoch"]
        self.waited, self.weights = state["waited"], state["weights"]


class Curves(pl.Callback):
    """Records losses and learning rate every `every` steps, and each validation; prints one line an epoch."""

    def __init__(self, run: Any, epochs: int, every: int = 10):
        self.run, self.epochs, self.every = run, epochs, every
        self.points: dict[str, list[list[float]]] = {}

    def record(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.points.setdefault(name, []).append([step, value])
        self.run.metrics(values, step=step)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.started = time.perf_counter()  # an epoch that is resumed within does not start again

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, index: int) -> None:
        if trainer.global_step == 1 or trainer.global_step % self.every == 0:
            rate = trainer.optimizers[0].param_groups[0]["lr"]
            parts = {f"train/{name}": float(value) for name, value in module.latest.items()}
            self.record({**parts, "lr": rate}, trainer.global_step)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            values = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
            self.record(values, trainer.global_step)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        last = float(module.latest["loss"])
        latest = {k: points[-1] for k, points in self.points.items() if k.startswith("val/")}
        metrics = "  ".join(f"{k} {value:.4g}" for k, (step, value) in latest.items() if step == trainer.global_step)
        seconds = time.perf_counter() - self.started
        print(
            f"epoch {trainer.current_epoch + 1}/{self.epochs}  loss {last:.4g}  {metrics}  {seconds:.1f} s",
            flush=True,
        )

    def state_dict(self) -> dict[str, Any]:
        return {"points": self.points}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.points = state["points"]
