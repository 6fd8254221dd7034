"""BatchNorm statistics of a changed network are those of its data, and nothing else of it moves."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from training import results, statistics


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, momentum=0.01), nn.ReLU(), nn.Conv2d(4, 2, 3))


def batches(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [5 + 3 * torch.randn(8, 3, 6, 6, generator=generator) for _ in range(count)]


def forward(net: nn.Module, batch: Any) -> Any:
    return net(batch)


def test_statistics_are_the_average_over_the_batches() -> None:
    model, data = network(), batches(6)
    weights = {name: value.clone() for name, value in model.named_parameters()}
    assert statistics.reestimate(model, data, forward) == 1
    activations = [model[0](batch).transpose(0, 1).flatten(1) for batch in data]
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm2d)
    torch.testing.assert_close(norm.running_mean, torch.stack([a.mean(1) for a in activations]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([a.var(1) for a in activations]).mean(0))
    assert norm.momentum == 0.01
    assert all(torch.equal(value, weights[name]) for name, value in model.named_parameters())


def test_norms_that_training_keeps_are_estimated_too() -> None:
    class Kept(nn.Sequential):
        def train(self, mode: bool = True) -> Kept:
            super().train(mode)
            self[1].eval()
            return self

    model, plain = Kept(*network()), network()
    for net in (model, plain):
        statistics.reestimate(net, batches(4), forward)
    assert torch.equal(model[1].running_mean, plain[1].running_mean)  # type: ignore[arg-type]
    assert model[1].running_mean.abs().max() > 0.1  # type: ignore[operator, union-attr]
    assert not model[1].training


def test_at_most_count_batches_are_read_and_the_mode_stays() -> None:
    model = network().eval()
    seen: list[int] = []
    statistics.reestimate(model, batches(5), lambda net, batch: seen.append(1) or net(batch), count=3)  # type: ignore[func-returns-value]
    assert len(seen) == 3
    assert not model.training


def test_without_batch_norm_nothing_runs() -> None:
    def refuse(net: nn.Module, batch: Any) -> None:
        raise AssertionError("must not run")

    assert statistics.reestimate(nn.Linear(2, 2), batches(1), refuse) == 0


def test_multiply_adds_are_counted_as_the_formula_says() -> None:
    """A convolution: outputs x kernel x input channels. 8 x (6 x 6 x 4 x 3 + 4 x 4 x 2 x 9 x 4)."""
    model = network()
    assert results.macs(model, batches(1)[0], forward) == 8 * (6 * 6 * 4 * 3 + 4 * 4 * 2 * 9 * 4)
    assert model.training


def test_counts_are_of_one_input_and_draw_no_random_number() -> None:
    model = network()
    loader = DataLoader([{"positions": i, "x": torch.zeros(3, 6, 6)} for i in range(8)], 4, shuffle=True)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    counts = results.counts(model, loader, lambda net, batch: net(batch["x"]))
    assert counts == {"parameters": 3 * 4 + 4 + 8 + 4 * 2 * 9 + 2, "macs": 6 * 6 * 4 * 3 + 4 * 4 * 2 * 9 * 4}
    assert torch.equal(torch.rand(1), expected)
