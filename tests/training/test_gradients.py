"""Gradients over batches, and nothing else that changes."""

from __future__ import annotations

import copy

import torch
from torch import nn

from training import gradients


def test_they_are_taken_over_batches_and_nothing_else_changes() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
    model[0].weight.requires_grad_(False)
    state = copy.deepcopy(model.state_dict())
    batches = [torch.rand(5, 3) for _ in range(4)]
    gradients.accumulate(
        model.train(), batches, lambda network, batch: {"loss": network(batch).sum(), "other": torch.zeros(())}, 3
    )
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items()), "statistics, too"
    assert model.training and not model[0].weight.requires_grad and model[0].bias.requires_grad
    # Of a sum behind a last layer without dropout: its bias has one for each sample of a batch.
    assert model[3].bias.grad is not None and model[3].bias.grad.item() == 5
    assert model[0].weight.grad is not None and model[0].weight.grad.abs().sum() > 0


def test_what_has_no_part_in_the_loss_has_zeros() -> None:
    model = nn.ModuleDict({"used": nn.Linear(2, 1), "idle": nn.Linear(2, 1)})
    gradients.accumulate(model, [torch.ones(1, 2)], lambda network, batch: {"loss": network["used"](batch).sum()})
    assert model["idle"].weight.grad is not None and not model["idle"].weight.grad.any()


def test_batches_that_pull_in_opposite_ways_do_not_cancel() -> None:
    model = nn.Linear(1, 1, bias=False)
    gradients.accumulate(model, [torch.ones(1, 1), -torch.ones(1, 1)], lambda net, batch: {"loss": net(batch).sum()})
    assert model.weight.grad is not None and model.weight.grad.item() == 1
