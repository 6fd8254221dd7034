"""Targets and losses by hand, and distillation."""

from __future__ import annotations

import json
from typing import Any

import detection_tiny
import pytest
import torch

from core import params
from core.errors import TrainingError
from tasks.detection import model as role
from tasks.detection.model.distillation import imitation
from tasks.detection.model.fcos import Predictions, locations
from tasks.detection.model.losses import detection_loss, focal, giou
from tasks.detection.model.targets import assign, centreness


def grid() -> tuple[torch.Tensor, torch.Tensor]:
    points = [locations(64 // s, 96 // s, s, torch.device("cpu")) for s in (8, 16, 32)]
    strides = torch.cat([torch.full((len(p),), s) for p, s in zip(points, (8, 16, 32), strict=True)])
    return torch.cat(points), strides


def test_assign_takes_the_smallest_box_near_its_centre() -> None:
    points, strides = grid()
    boxes = torch.tensor([[10.0, 10, 50, 50], [20, 20, 36, 36]])
    labels, distances = assign(points, strides, boxes, torch.tensor([0, 1]), 2)
    at = {tuple(point.tolist()): i for i, point in enumerate(points[:96])}
    assert labels[at[28.0, 28.0]] == 1  # inside both: the smaller
    assert distances[at[28.0, 28.0]].tolist() == [8, 8, 8, 8]
    assert labels[at[36.0, 36.0]] == 0  # on the border of the smaller, within 12 pixels of the larger's centre
    assert labels[at[44.0, 44.0]] == 2  # inside, but too far from the centre
    assert (labels[96:] == 2).all()  # both are too small for the coarser levels


def test_assign_sends_large_boxes_to_coarse_levels() -> None:
    points, strides = grid()
    labels, _ = assign(points, strides, torch.tensor([[0.0, 0, 96, 64]]), torch.tensor([0]), 1)
    assert set(strides[labels == 0].tolist()) == {16}
    labels, _ = assign(points, strides, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), 1)
    assert (labels == 1).all()


def test_centreness_by_hand() -> None:
    distances = torch.tensor([[5.0, 5, 5, 5], [1, 2, 4, 8], [4, 8, 1, 2]])
    assert centreness(distances).tolist() == pytest.approx([1.0, 0.25, 0.25])


def test_focal_by_hand() -> None:
    loss = focal(torch.zeros(2), torch.tensor([1.0, 0.0]))
    assert loss.item() == pytest.approx((0.25 + 0.75) * 0.25 * torch.log(torch.tensor(2.0)).item())


def test_giou_by_hand() -> None:
    one = torch.tensor([[1.0, 1, 1, 1]])
    assert giou(one, one).item() == pytest.approx(1.0)
    assert giou(one, torch.tensor([[1.0, 1, 0, 0]])).item() == pytest.approx(0.25)  # a quarter of it, hull the larger
    # (-1, -1, 1, 1) against (0, 0, 2, 2): overlap 1 of union 7, hull 9
    assert giou(one, torch.tensor([[0.0, 0, 2, 2]])).item() == pytest.approx(1 / 7 - 2 / 9)


def perfect(boxes: torch.Tensor, labels: torch.Tensor) -> Predictions:
    points, strides = grid()
    wanted, distances = assign(points, strides, boxes, labels, 2)
    classes = torch.where(torch.nn.functional.one_hot(wanted, 3)[:, :2] > 0, 12.0, -12.0)
    centre = centreness(distances.clamp(min=1e-3)).clamp(1e-4, 1 - 1e-4)
    distances = torch.where((wanted < 2)[:, None], distances, 1.0)
    return Predictions(classes[None], distances[None], torch.logit(centre)[None], points, strides, [])


def test_a_perfect_prediction_leaves_only_the_entropy_of_the_centreness() -> None:
    boxes, labels = torch.tensor([[12.0, 12, 40, 44]]), torch.tensor([1])
    losses = detection_loss(perfect(boxes, labels), {"boxes": [boxes], "labels": [labels]})
    assert losses["class"] < 1e-3 and losses["box"] < 1e-5
    assert losses["loss"] == losses["class"] + 1.5 * losses["box"] + losses["centre"]
    wrong = detection_loss(perfect(boxes, labels), {"boxes": [boxes + 6], "labels": [1 - labels]})
    assert wrong["class"] > 1 and wrong["box"] > 0.1


def test_a_batch_without_boxes_has_a_finite_loss() -> None:
    empty = {"boxes": [torch.zeros(0, 4)], "labels": [torch.zeros(0, dtype=torch.long)]}
    losses = detection_loss(perfect(torch.tensor([[12.0, 12, 40, 44]]), torch.tensor([1])), empty)
    assert all(torch.isfinite(value) for value in losses.values()) and losses["box"] == 0


def networks(width: int = 8, classes: int = 2) -> tuple[Any, dict[str, Any]]:
    params = detection_tiny.settings(model={"image_size": [64, 64], "width": width})
    entries = {"classes": [{"id": i + 1, "name": f"c{i}"} for i in range(classes)]}
    arch = role.architecture(params, {"classes.json": json.dumps(entries).encode()})
    return role.build(arch), arch


SHIPPED = params.load(detection_tiny.ROOT / "params.yaml")[1]["detection"].distill["distilled"]
SETTINGS = SHIPPED.model_copy(update={"depth": 0.5, "width": 8})


def batch() -> dict[str, Any]:
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 255
    box = torch.tensor([[12.0, 12, 40, 44]])
    return {"images": pixels, "boxes": [box, box], "labels": [torch.tensor([1]), torch.tensor([0])]}


def test_a_few_steps_lower_the_loss() -> None:
    torch.manual_seed(0)
    network, _ = networks()
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    values = []
    for _ in range(12):
        losses = role.loss(network, batch(), None)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        values.append(losses["loss"].item())
    assert values[-1] < 0.75 * values[0]


def test_imitating_oneself_costs_only_the_entropy_of_the_centreness() -> None:
    network, _ = networks()
    network.eval()
    torch.nn.init.constant_(network.class_head.bias, 0.0)
    given = network(batch()["images"])
    parts = imitation(given, given, 2.0)
    assert parts["soft_class"] < 1e-6 and parts["soft_box"] < 1e-5 and parts["soft_centre"] > 0


def test_soft_targets_train_a_student_of_another_shape() -> None:
    torch.manual_seed(0)
    teacher, arch = networks(width=16)
    student = role.build(role.student(arch, SETTINGS))
    assert sum(p.numel() for p in student.parameters()) < sum(p.numel() for p in teacher.parameters())
    losses = role.soft_targets(student, teacher.eval(), batch(), SETTINGS, None)
    losses["loss"].backward()
    assert student.backbone.stem.weight.grad is not None and teacher.backbone.stem.weight.grad is None
    assert {"loss", "hard", "hint", "soft_class", "soft_box", "soft_centre"} == set(losses)
    assert all(torch.isfinite(value) for value in losses.values())


def test_a_teacher_of_other_classes_is_refused() -> None:
    """docs/faults.md 76."""
    student, _ = networks()
    teacher, _ = networks(classes=3)
    with pytest.raises(TrainingError, match=r"classes of the student \['c0', 'c1'\], of the teacher \['c0', "):
        role.soft_targets(student, teacher.eval(), batch(), SETTINGS, None)
