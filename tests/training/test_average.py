"""The average of the weights: the formula, to the bit; tied weights once, statistics and counters, too."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
import toy

from training.average import Average
from training.module import Learner


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.out.weight = self.table.weight
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("nothing", torch.zeros(0))


def test_it_is_the_formula_to_the_bit() -> None:
    model = Tied()
    mean = copy.deepcopy(model)
    average = Average(mean, model)
    expected = {name: value.clone() for name, value in mean.state_dict().items()}
    for step in range(3):
        with torch.no_grad():
            model.table.weight.add_(1 + step)
        model.norm(torch.randn(4, 3))
        average.update(0.9)
        for name, value in model.state_dict().items():
            if name == "out.weight":
                continue  # that of the table
            found = expected[name]
            expected[name] = found.lerp(value, 1 - 0.9) if value.is_floating_point() else value.clone()
    expected["out.weight"] = expected["table.weight"]
    found = mean.state_dict()
    assert found["norm.num_batches_tracked"] == 3
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_training_ends_with_the_average_of_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every step once, with a young average that forgets faster."""
    monkeypatch.chdir(tmp_path)
    seen: list[dict[str, Tensor]] = []
    before = Learner.on_train_batch_end

    def spied(self: Learner, *arguments: Any) -> None:
        if not seen:
            assert self.average is not None
            seen.append({name: value.clone() for name, value in self.average.state_dict().items()})
        before(self, *arguments)
        decay = min(0.9, (1 + self.global_step) / (10 + self.global_step))
        latest = self.model.state_dict().items()
        seen.append({k: seen[-1][k].lerp(v, 1 - decay) if v.is_floating_point() else v.clone() for k, v in latest})

    monkeypatch.setattr(Learner, "on_train_batch_end", spied)
    scores = iter([0.1, 0.2])
    monkeypatch.setattr(toy.Metric, "compute", lambda self: {"score": next(scores)})
    fitted = toy.fit(epochs=2)
    assert len(seen) == 1 + 2 * 8
    assert all(torch.equal(value, seen[-1][name]) for name, value in fitted.weights.items())
