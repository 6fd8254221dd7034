"""Pruning by the stage: channels that the loss feels least, or single weights; what ships is a plain network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
import toy

from compression.networks import pruning
from core import checkpoint, compression
from core.checkpoint import Checkpoint
from core.files import read_json
from core.task import Loaders
from stages import prune
from training import allocate, compress, hardware

DVC_YAML = "stages:\n  prune:\n    foreach: ${matrix.prune}\n    do: {params: [seed]}\n"
MATRIX = "matrix: {prune: {toy-small: {task: toy, variant: small}}}\n"
HIDDEN = 64


def build(widths: list[int]) -> nn.Module:
    """Two numbers -> one, over two branches: all that matters comes over `felt`."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.felt, self.idle = nn.Linear(2, widths[0]), nn.Linear(2, widths[1])
            self.from_felt, self.from_idle = nn.Linear(widths[0], 1), nn.Linear(widths[1], 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.from_felt(torch.tanh(self.felt(x))) + self.from_idle(torch.tanh(self.idle(x)))

    return Net()


def trained() -> nn.Module:
    """Fits the line of the toy by `felt`; `idle` adds next to nothing, though its own weights are large."""
    torch.manual_seed(0)
    network = build([HIDDEN, HIDDEN])
    with torch.no_grad():
        network.from_idle.weight.mul_(1e-3)  # type: ignore[operator, union-attr]
        network.from_idle.bias.zero_()  # type: ignore[operator, union-attr]
        network.idle.weight.mul_(10)  # type: ignore[operator, union-attr]
    batch = next(iter(toy.loaders(batch=64).train))
    optimizer = torch.optim.Adam([*network.felt.parameters(), *network.from_felt.parameters()], lr=0.02)  # type: ignore[union-attr]
    for _ in range(200):
        optimizer.zero_grad()
        toy.loss(network, batch)["loss"].backward()
        optimizer.step()
    return network


class Role:
    """What the stage asks of a task's `model`."""

    parameter_groups = staticmethod(toy.parameter_groups)

    def build(self, arch: dict[str, Any], initial: bool = False) -> nn.Module:
        return build(arch["widths"])

    def loss(self, network: nn.Module, batch: Any, params: Any) -> dict[str, Tensor]:
        return toy.loss(network, batch)

    def soft_targets(
        self, network: nn.Module, teacher: nn.Module, batch: Any, settings: Any, params: Any
    ) -> dict[str, Tensor]:
        return {"loss": (network(batch["x"]) - teacher(batch["x"])).square().mean()}

    def prune(self, network: Any, arch: dict[str, Any], settings: Any) -> dict[str, Any]:
        last = (network.from_felt, network.from_idle)
        pruning.prune(network, torch.zeros(1, 2), settings.ratio, last, 8, importance=settings.importance)
        return {"widths": [network.felt.out_features, network.idle.out_features]}


class Run(toy.Run):
    def artifact(self, path: Path) -> None:
        assert path.exists()


class Settings(compression.Prune):
    train: Any


def settings(**changes: Any) -> Settings:
    shared = {"ratio": 0.5, "importance": "magnitude", "temperature": 1.0, "soft_weight": 0.5}
    return Settings.model_validate(shared | {"train": toy.train(epochs=1, lr=1e-4)} | changes)


def base(network: nn.Module) -> compress.Base:
    saved = Checkpoint({"widths": [HIDDEN, HIDDEN]}, network.state_dict(), {})
    return compress.Base(Role(), saved, network, trained(), toy.loaders(), toy.WATCHED)


def pruned(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    relabelled: Callable[[nn.Module, Loaders], Loaders] = lambda teacher, loaders: loaders,
    **changes: Any,
) -> Checkpoint:
    """What the stage leaves in `out`. relabelled: what a teacher makes of the loaders."""
    monkeypatch.chdir(folder)
    Path("dvc.yaml").write_text(DVC_YAML)
    Path("params.yaml").write_text("seed: 3\n")
    Path("matrix.yaml").write_text(MATRIX)
    Path("out").mkdir()
    hardware.prepare(1, 3)
    made = base(trained())
    monkeypatch.setattr(compress, "begin", lambda ctx, settings: made)  # a toy has no folders of data and models
    monkeypatch.setattr(compress, "relabelled", lambda ctx, teacher, loaders, settings: relabelled(teacher, loaders))
    ctx: Any = SimpleNamespace(
        name="prune@toy-small", variant="small", run=Run(), out=Path("out"),
        params=SimpleNamespace(prune={"small": settings(**changes)}),
    )  # fmt: skip
    prune.prune(ctx)
    saved = checkpoint.load(Path("out"))
    build(saved.arch["widths"]).load_state_dict(saved.weights)  # strict: a plain network of this architecture
    return saved


def test_channels_leave_every_layer_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pruned(tmp_path, monkeypatch).arch == {"widths": [32, 32]}
    assert "zeros" not in read_json(Path("out") / "result.json")


def test_measured_shares_spare_what_the_loss_feels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many multiply-adds go as of the same share of both."""
    felt, idle = pruned(tmp_path, monkeypatch, allocation="measured").arch["widths"]
    assert idle < 32 < felt and 48 <= felt + idle <= 64
    told = read_json(Path("out") / "allocation.json")
    assert set(told["tried"]) == {"felt", "idle"} and told["shares"]["idle"] > told["shares"].get("felt", 0)
    losses = {layer: tried[-1]["loss"] for layer, tried in told["tried"].items()}
    assert losses["felt"] > 10 * max(losses["idle"], 1e-9)


@pytest.mark.parametrize("importance", ["magnitude", "taylor"])
def test_measuring_changes_neither_the_network_nor_its_gradients(importance: str) -> None:
    network = trained()
    for parameter in network.parameters():
        parameter.grad = torch.rand_like(parameter)
    before = [(parameter.detach().clone(), parameter.grad.clone()) for parameter in network.parameters()]
    compress_loss = compress.labelled(Role(), None)
    allocate.shares(base(network), settings(allocation="measured", importance=importance), compress_loss)
    for parameter, (value, gradient) in zip(network.parameters(), before, strict=True):
        assert torch.equal(parameter, value) and torch.equal(parameter.grad, gradient)


def test_what_is_left_learns_what_its_teacher_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learnt = []

    def says(teacher: nn.Module, loaders: Loaders) -> Loaders:
        with torch.no_grad():
            targets = [{**batch, "y": 100 + teacher(batch["x"])} for batch in loaders.train]
        return replace(loaders, train=DataLoader(targets, batch_size=None))  # type: ignore[arg-type]

    def loss(role: Role, network: nn.Module, batch: Any, params: Any) -> dict[str, Tensor]:
        learnt.extend([batch["y"].mean().item()] if torch.is_grad_enabled() else [])
        return toy.loss(network, batch)

    monkeypatch.setattr(Role, "loss", loss)
    pruned(tmp_path, monkeypatch, says, soft_weight=0.0)
    assert len(learnt) == 8 and min(learnt) > 90


@pytest.mark.parametrize(("pattern", "share"), [("weights", 0.5), ("2:4", 0.5)])
@pytest.mark.parametrize("aware", [False, True])
def test_single_weights_become_zero_and_the_form_stays(
    pattern: str, share: float, aware: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = pruned(tmp_path, monkeypatch, pattern=pattern, quantization_aware=aware)
    assert saved.arch == {"widths": [HIDDEN, HIDDEN]}
    counted = read_json(Path("out") / "result.json")
    zeros = sum(int((value == 0).sum()) for name, value in saved.weights.items() if "weight" in name)
    assert zeros == counted["zeros"]
    matrices = [value for name, value in saved.weights.items() if "weight" in name]
    if pattern == "2:4":  # layers that read two numbers have no groups of four
        matrices = [value for value in matrices if value.shape[1] % 4 == 0]
    assert zeros == pytest.approx(share * sum(value.numel() for value in matrices), abs=1)
