"""A toy task for the engine: a noisy line, learnt by a small network with dropout. `python toy.py` fits it.

Environment: TOY_KILL_AFTER (epochs, then SIGKILL), TOY_TERM_AT (a step: SIGTERM), TOY_SAVE_EVERY (seconds), TOY_TRAIN
(JSON over `TRAIN`).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from core import params, stage
from core.files import sha256
from core.params import TrainParams
from core.task import Loaders
from training import fit as engine
from training import hardware, resume
from training.watch import Watched

ROOT = Path(__file__).resolve().parents[2]
DVC_YAML = "stages:\n  train:\n    foreach: ${matrix.train}\n    do: {params: [seed]}\n"
TRAIN: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 8,
    "lr": 0.01,
    "weight_decay": 0.0,
    "optimizer": {"name": "adamw", "momentum": 0.9, "nesterov": False, "betas": [0.9, 0.999], "eps": 1e-8},
    "schedule": {"name": "cosine", "floor": 0.01, "factor": 0.1, "epochs": 1, "patience": 1},
    "warmup_steps": 2,
    "clip_norm": 1.0,
    "clip_value": None,
    "ema_decay": 0.9,
    "patience": 10,
    "validate_every": 1,
    "precision": "32",
    "devices": 1,
    "strategy": "auto",
    "workers": 0,
}


class Metric:
    """Minus the mean squared error, plus one."""

    def __init__(self) -> None:
        self.errors: list[Tensor] = []

    def update(self, model: nn.Module, batch: Any) -> None:
        self.errors.append((model(batch["x"]) - batch["y"]).square().mean())

    def compute(self) -> dict[str, float]:
        return {"score": 1 - float(torch.stack(self.errors).mean())}


WATCHED = Watched("score", "higher", Metric)


def parameter_groups(model: nn.Module, train: Any) -> list[dict[str, Any]]:
    return [{"params": list(model.parameters()), "lr": train.lr, "weight_decay": train.weight_decay}]


def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    value = (model(batch["x"]) - batch["y"]).square().mean()
    return {"loss": value, "error": value}


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(0.2), nn.BatchNorm1d(16), nn.Linear(16, 1))


def loaders(workers: int = 0, batch: int = 8) -> Loaders:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(64, 2, generator=generator)
    y = x.sum(1, keepdim=True) + 0.1 * torch.randn(64, 1, generator=generator)
    data = TensorDataset(x, y, torch.arange(64))
    training = DataLoader(data, batch, shuffle=True, num_workers=workers, collate_fn=collate)
    return Loaders(training, DataLoader(data, 32, collate_fn=collate), {})


def collate(samples: list[tuple[Tensor, ...]]) -> dict[str, Tensor]:
    """As a task's loaders hand batches on."""
    return {
        name: torch.stack(parts)
        for name, parts in zip(("x", "y", "positions"), zip(*samples, strict=True), strict=True)
    }


class Run:
    """Collects what is logged."""

    def __init__(self) -> None:
        self.logged: list[tuple[int | None, dict[str, float]]] = []

    def metrics(self, values: dict[str, float], step: int | None = None) -> None:
        self.logged.append((step, values))

    def params(self, values: dict[str, Any]) -> None:
        self.chosen = values

    def tag(self, key: str, value: str) -> None:
        self.logged.append((None, {key: float(value)}))


def train(**changes: Any) -> TrainParams:
    """Checked params: those of params.yaml that all tasks share, but for `TRAIN` and `changes`; mappings are merged."""
    shipped = params.read(ROOT / "params.yaml")["detection"]["train"]
    values = {name: shipped[name] for name in TrainParams.model_fields}
    for name, value in (*TRAIN.items(), *changes.items()):
        values[name] = values[name] | value if isinstance(value, dict) else value
    return TrainParams.model_validate(values)


def fit(
    role: Any = sys.modules[__name__],
    loss: Any = loss,
    model: nn.Module | None = None,
    batch: int = 8,
    watched: Watched = WATCHED,
    **changes: Any,
) -> engine.Fitted:
    """Fit in the working directory, which becomes a tiny repository."""
    Path("dvc.yaml").write_text(DVC_YAML)
    Path("params.yaml").write_text("seed: 3\n")
    Path("matrix.yaml").write_text("matrix: {train: {toy: {task: toy}}}\n")
    settings = train(**changes)
    hardware.prepare(1, 3)
    context: Any = SimpleNamespace(name="train@toy", params=None, run=Run())
    model = model or build()
    if "TOY_KILL_AFTER" in os.environ:
        loss = killing(loss, int(os.environ["TOY_KILL_AFTER"]) * 8 + 3)
    if "TOY_TERM_AT" in os.environ:
        signal.signal(signal.SIGTERM, stage._terminate)
        loss = killing(loss, int(os.environ["TOY_TERM_AT"]), signal.SIGTERM)
    return engine.fit(context, role, model, loaders(settings.workers, batch), loss, settings, watched)


def killing(inner: Any, step: int, number: int = signal.SIGKILL) -> Any:
    """A loss that sends the process a signal at a step."""
    seen = iter(range(10**6))

    def wrapped(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        if next(seen) == step:
            os.kill(os.getpid(), number)
        return inner(model, batch)

    return wrapped


if __name__ == "__main__":
    from safetensors.torch import save_file

    resume.EVERY_S = float(os.environ.get("TOY_SAVE_EVERY", resume.EVERY_S))
    fitted = fit(**json.loads(os.environ.get("TOY_TRAIN", "{}")))
    save_file(fitted.weights, "weights.safetensors")
    print(sha256(Path("weights.safetensors")))
