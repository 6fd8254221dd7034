"""Soft targets, hints and attention by hand; regressors are trained with the student and not shipped with it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from compression.networks import distillation
from core.errors import TrainingError


def test_soft_targets_by_hand() -> None:
    """Teacher 3:1 and student 1:1 at temperature 2: logits 2 ln 3 and 0."""
    wanted = torch.tensor([[2 * math.log(3.0), 0.0]])
    given = torch.tensor([[0.0, 0.0]])
    nats = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert distillation.divergence(given, wanted, 2.0).item() == pytest.approx(nats)
    assert distillation.soft_targets(given, wanted, 2.0).item() == pytest.approx(4 * nats)
    assert distillation.soft_targets(wanted, wanted, 5.0).item() == pytest.approx(0, abs=1e-7)


def test_the_square_of_the_temperature_keeps_the_size_of_the_gradients() -> None:
    """Hinton et al. 2015, section 2.1: at high temperatures they are (z - v) / K, whatever the temperature is."""
    wanted = torch.tensor([[1.0, -1.0, 0.0, 0.0]])
    sizes = []
    for temperature in (100.0, 500.0):
        given = torch.zeros(1, 4, requires_grad=True)
        distillation.soft_targets(given, wanted, temperature).backward()
        sizes.append(given.grad)
    torch.testing.assert_close(sizes[0], -wanted / 4, rtol=0.02, atol=2e-3)
    torch.testing.assert_close(sizes[1], -wanted / 4, rtol=0.02, atol=2e-3)


def test_attention_compares_where_not_what() -> None:
    here, there = torch.zeros(1, 2, 1, 2), torch.zeros(1, 3, 1, 2)
    here[0, 0, 0, 0] = 5.0
    there[0, 2, 0, 0] = 0.1
    assert distillation.attention([here], [there]).item() == pytest.approx(0, abs=1e-6)
    assert distillation.attention([here], [there.flip(3)]).item() == pytest.approx(2.0)


def relations(x: torch.Tensor) -> tuple[list[float], list[float]]:
    """Distances over their mean and cosines of a batch of vectors, one by one."""
    count, mean = len(x), torch.pdist(x).mean()
    distances = [float((x[i] - x[j]).norm() / mean) for i in range(count) for j in range(count)]
    cosines = []
    for j in range(count):
        for i in range(count):
            for k in range(count):
                one, two = x[i] - x[j], x[k] - x[j]
                size = one.norm() * two.norm()
                cosines.append(float(one @ two / size) if size > 0 else 0.0)
    return distances, cosines


def test_relations_are_distances_and_angles_between_inputs() -> None:
    """Against the definitions of Park et al. 2019, written out."""
    torch.manual_seed(0)
    mine, other = torch.randn(5, 4, 2, 3, requires_grad=True), torch.randn(5, 7, 1, 1)
    wanted = 0.0
    parts = zip(relations(mine.detach().mean((2, 3))), relations(other.mean((2, 3))), (1, 2), strict=True)
    for one, two, weight in parts:
        wanted += weight * nn.functional.smooth_l1_loss(torch.tensor(one), torch.tensor(two)).item()
    found = distillation.relations([mine], [other])
    assert found.item() == pytest.approx(wanted, rel=1e-5)
    found.backward()
    assert mine.grad is not None and mine.grad.isfinite().all() and mine.grad.abs().sum() > 0


def test_relations_do_not_see_scale_or_rotation() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 4, 1, 1)
    turned = torch.linalg.qr(torch.randn(4, 4)).Q
    y = 3 * torch.einsum("bchw,cd->bdhw", x, turned) + 1
    assert distillation.relations([x], [y]).item() == pytest.approx(0, abs=1e-5)
    near = torch.randn(6, 4, 1, 1)
    near[1] = near[0] + 1e-6 * torch.randn(4, 1, 1)  # one picture at two places of a batch
    near.requires_grad_()
    distillation.relations([near], [y]).backward()
    assert near.grad is not None and near.grad.abs().max() < 10
    same = torch.ones(6, 4, 1, 1, requires_grad=True)  # a student that says the same of every input
    loss = distillation.relations([same], [y])
    loss.backward()
    assert loss.item() > 0.1 and same.grad is not None and same.grad.isfinite().all()


def test_hints_of_equal_widths_are_the_squared_distance() -> None:
    student = nn.Module()
    distillation.attach(student, [3], [3])
    assert not list(student.parameters())
    x = torch.zeros(2, 3, 4, 4)
    assert distillation.hints(student, [x], [x + 2]).item() == pytest.approx(4.0)


def test_a_regressor_learns_with_its_student_and_is_not_shipped() -> None:
    torch.manual_seed(0)
    student = nn.Sequential(nn.Conv2d(3, 4, 1))
    own = set(student.state_dict())
    distillation.attach(student, [4], [6])
    teacher = nn.Conv2d(3, 6, 1).requires_grad_(False)
    optimizer = torch.optim.Adam(student.parameters(), 0.05)
    x, losses = torch.randn(4, 3, 5, 5), []
    for _ in range(60):
        loss = distillation.hints(student, [student[0](x)], [teacher(x)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]
    assert set(student.state_dict()) > own and set(distillation.shipped(student.state_dict())) == own


def test_what_differs_is_named() -> None:
    """docs/faults.md 76."""
    same = {"classes": ["a", "b"], "image size": [32, 32]}
    distillation.check(same, dict(same))
    with pytest.raises(
        TrainingError, match=r"do not match: classes of the student \['a', 'b'\], of the teacher \['a'\]"
    ):
        distillation.check(same, same | {"classes": ["a"]})
