"""Every optimiser by its name is torch's own; clipping of both kinds, with and without fused kernels."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
import toy

from training import optimizer

KNOBS: dict[str, Any] = {"momentum": 0.9, "nesterov": False, "betas": [0.8, 0.95], "eps": 1e-6}
CASES = [
    ({"name": "sgd", "momentum": 0.0}, torch.optim.SGD),
    ({"name": "sgd"}, lambda groups: torch.optim.SGD(groups, momentum=0.9)),
    ({"name": "sgd", "nesterov": True}, lambda groups: torch.optim.SGD(groups, momentum=0.9, nesterov=True)),
    ({"name": "adagrad"}, lambda groups: torch.optim.Adagrad(groups, eps=1e-6)),
    ({"name": "adam"}, lambda groups: torch.optim.Adam(groups, betas=(0.8, 0.95), eps=1e-6)),
    ({"name": "adamw"}, lambda groups: torch.optim.AdamW(groups, betas=(0.8, 0.95), eps=1e-6)),
]
IDS = ["plain step", "momentum", "nesterov", "adagrad", "adam", "adamw"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def stepped(make: Any, steps: int = 12) -> list[Tensor]:
    """Weights of a small regression after `steps`; two groups with their own rates and decays."""
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    x, y = torch.randn(32, 3), torch.randn(32, 1)
    made = make(
        [
            {"params": [model[0].weight, model[2].weight], "lr": 0.05, "weight_decay": 0.1},
            {"params": [model[0].bias, model[2].bias], "lr": 0.02, "weight_decay": 0.0},
        ]
    )
    for _ in range(steps):
        made.zero_grad()
        (model(x) - y).square().mean().backward()
        made.step()
    return [parameter.detach() for parameter in model.parameters()]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("settings", "theirs"), CASES, ids=IDS)
def test_it_steps_as_torchs_own(settings: dict[str, Any], theirs: Any, fused: bool) -> None:
    ours = stepped(lambda groups: optimizer.build(groups, SimpleNamespace(**KNOBS | settings), fused))
    for mine, other in zip(ours, stepped(theirs), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_no_two_of_them_are_the_same() -> None:
    ends = [stepped(theirs)[0] for _, theirs in CASES]
    assert not any(torch.allclose(a, b, atol=1e-4) for i, a in enumerate(ends) for b in ends[:i])


def test_the_plain_step_goes_along_the_gradient() -> None:
    """Robbins and Monro 1951, by hand: 3 - 0.1 * 2 * 3 = 2.4, then 2.4 - 0.1 * 2 * 2.4 = 1.92."""
    weight = nn.Parameter(torch.tensor([3.0]))
    settings = SimpleNamespace(**KNOBS | {"name": "sgd", "momentum": 0.0})
    made = optimizer.build([{"params": [weight], "lr": 0.1, "weight_decay": 0.0}], settings, fused=True)
    for expected in (2.4, 1.92):
        made.zero_grad()
        weight.square().sum().backward()
        made.step()
        assert weight.item() == pytest.approx(expected)


def first_step(fused: bool, **changes: Any) -> tuple[float, float]:
    """Norm, and largest absolute value, of what one plain step with rate 1 changes: of the clipped gradient."""
    torch.manual_seed(3)
    model = nn.Linear(2, 1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    plain = {"name": "sgd", "momentum": 0.0}
    quiet = {"epochs": 1, "warmup_steps": 0, "ema_decay": 0.0, "lr": 1.0, "precision": "32" if fused else "fp16"}
    fitted = toy.fit(
        model=model, batch=64, loss=steep, optimizer=plain, schedule={"name": "constant"}, **quiet | changes
    )
    change = [fitted.weights[name] - old for (name, _), old in zip(model.named_parameters(), before, strict=True)]
    flat = torch.cat([part.flatten() for part in change])
    return float(flat.norm()), float(flat.abs().max())


def steep(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    """Gradients far above every limit."""
    return {"loss": 1000 * toy.loss(model, batch)["loss"]}


@pytest.mark.parametrize("fused", [True, False])
def test_gradients_are_clipped_by_their_norm(fused: bool) -> None:
    norm, largest = first_step(fused, clip_norm=0.5)
    assert norm == pytest.approx(0.5, rel=1e-4) and largest < 0.5


@pytest.mark.parametrize("fused", [True, False])
def test_gradients_are_clipped_by_their_value(fused: bool) -> None:
    norm, largest = first_step(fused, clip_norm=None, clip_value=0.5)
    assert largest == pytest.approx(0.5, rel=1e-4)
    assert norm == pytest.approx(0.5 * math.sqrt(3), rel=1e-4)  # all three are above


@pytest.mark.parametrize("off", [None, 0.0])
@pytest.mark.parametrize("fused", [True, False])
def test_nothing_is_clipped_where_both_are_off(fused: bool, off: float | None) -> None:
    assert first_step(fused, clip_norm=off, clip_value=off)[0] > 100
