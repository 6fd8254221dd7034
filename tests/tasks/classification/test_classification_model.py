"""The classifier learns, freezes, prunes and distils; what it says does not hang on how it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import classification_tiny as tiny
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.errors import ParamsError, TrainingError
from modalities.images import data
from modalities.images.inputs.classes import write
from tasks.classification import model, score

ASSETS = write(tiny.CATEGORIES)


def network(**changes: Any) -> Any:
    torch.manual_seed(0)
    made = tiny.settings(**changes)
    return model.build(model.architecture(made, ASSETS)), made


def batch(size: tuple[int, int] = (16, 20), colours: int = 3) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(2)
    targets = torch.eye(3)[[0, 1, 2, 0]]
    return {
        "images": torch.rand(4, colours, *size, generator=generator) * 255,
        "targets": targets,
        "positions": [0] * 4,
    }


def test_it_learns_what_it_is_shown(trained: Any, edges: Path) -> None:
    net, loaders = trained
    references = score.references(edges, "val")
    found = [(p, i) for b in loaders.val for p, i in zip(model.predictions(net, b, {}), b["positions"], strict=True)]
    right = [p["category_id"] == references[i]["whole"][0] for p, i in found]
    assert len(right) == 12 and np.mean(right) >= 0.9


def test_the_mean_of_the_activation_map_is_the_logit(trained: Any) -> None:
    given = trained[0](batch()["images"])
    assert given.cam.shape == (4, 3, 4, 5)
    assert torch.allclose(given.cam.mean((2, 3)), given.logits)


def test_the_loss_is_cross_entropy_with_smoothed_targets() -> None:
    net, made = network(model={"label_smoothing": 0.1})
    net.eval()
    logits, targets = net(batch()["images"]).logits, batch()["targets"]
    expected = -(F.log_softmax(logits, 1) * (targets * 0.9 + 0.1 / 3)).sum(1).mean()
    assert model.loss(net, batch(), made)["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_with_several_labels_each_class_is_learnt_by_itself(tmp_path: Path) -> None:
    made = tiny.settings(data={"multilabel": True}, model={"label_smoothing": 0.0})
    dataset = tiny.edges(tmp_path / "edges", several=True)
    net, loaders = tiny.trained(dataset, made, epochs=30)
    one = next(iter(loaders.val))
    logits = net(one["images"]).logits
    expected = F.binary_cross_entropy_with_logits(logits, one["targets"], reduction="none").sum(1).mean()
    assert model.loss(net, one, made)["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    references = score.references(dataset, "val")
    predictions = model.predictions(net, one, {})
    metrics = score.score(predictions, [references[i] for i in one["positions"]], made)["metrics"]
    assert metrics["accuracy"] > 0.6 and {0, 2, 3} & {len(reference["whole"]) for reference in references}


def test_a_frozen_backbone_stays_and_the_head_learns() -> None:
    packaged = {"backbone": {"name": "efficientnet_lite0", "depth": 0.3}, "weights": "packaged", "image_size": [32, 32]}
    net, made = network(model=packaged, train={"freeze": "all"})
    before = {name: value.clone() for name, value in net.state_dict().items()}
    groups = model.parameter_groups(net, made.train)
    assert sum(p.numel() for group in groups for p in group["params"]) == sum(p.numel() for p in net.head.parameters())
    optimizer = torch.optim.AdamW(groups)
    model.loss(net.train(), batch((32, 32)), made)["loss"].backward()
    optimizer.step()
    changed = {name for name, value in net.state_dict().items() if not torch.equal(before[name], value)}
    assert changed == {"head.weight", "head.bias"}


@pytest.mark.parametrize(("levels", "maps"), [("all", 4), ("blocks", 8)])
def test_a_head_on_several_maps_sees_the_mean_of_each(levels: str, maps: int) -> None:
    backbone = {"name": "resnet18", "small": True, "width": 0.125}
    net, _ = network(model={"backbone": backbone, "image_size": [32, 32], "levels": levels}, distill={})
    net.eval()
    with torch.no_grad():
        given = net(batch((32, 32))["images"])
        means = torch.cat([level.mean((2, 3)) for level in given.maps], 1)
        wanted = means @ net.head.weight[:, :, 0, 0].T + net.head.bias
    assert len(given.maps) == maps and given.cam.shape[2:] == given.maps[-1].shape[2:]
    torch.testing.assert_close(given.logits, wanted, atol=1e-4, rtol=1e-4)


def test_a_random_backbone_is_not_frozen() -> None:
    with pytest.raises(ValueError, match="never learn"):
        tiny.settings(train={"freeze": "all"})
    with pytest.raises(ValueError, match="no weights are packaged"):
        tiny.settings(model={"weights": "packaged"})


def test_a_map_of_each_block_needs_blocks() -> None:
    with pytest.raises(ValueError, match=r"backbone cnn is not made of blocks; take `levels: all`, or resnet18, "):
        tiny.settings(model={"levels": "blocks"})
    with pytest.raises(ValueError, match="backbone cnn is not made of blocks"):  # that of the student
        tiny.settings(model={"levels": "blocks", "backbone": {"name": "resnet18"}})


def test_images_too_small_for_the_backbone_are_told() -> None:
    with pytest.raises(ParamsError, match=r"backbone cnn cannot take images of \[8, 8\]"):
        network(model={"backbone": {"name": "cnn", "widths": [8, 8, 8, 8]}, "image_size": [8, 8]})


@pytest.mark.parametrize(
    ("backbone", "levels"),
    [
        ({"name": "mlp", "widths": [32, 24]}, "last"),
        ({"name": "cnn", "widths": [16, 24]}, "last"),
        ({"name": "cnn", "widths": [16, 24]}, "all"),
        ({"name": "resnet18", "small": True, "width": 0.25}, "last"),
        ({"name": "resnet18", "small": True, "width": 0.25}, "blocks"),
        ({"name": "mobilenet_v2", "small": True, "width": 0.5}, "all"),
        ({"name": "mobilenet_v2", "small": True, "width": 0.5}, "blocks"),
    ],
)
def test_every_kind_of_backbone_prunes_and_rebuilds(backbone: Any, levels: str) -> None:
    changes = {"backbone": backbone, "colour": "grey", "image_size": [28, 28], "levels": levels}
    net, made = network(model=changes, distill={})
    settings = made.prune["pruned"].model_copy(update={"ratio": 0.5})
    before = sum(p.numel() for p in net.parameters())
    arch = model.prune(net, net.arch, settings)
    again = model.build(arch)
    again.load_state_dict(net.state_dict())
    assert sum(p.numel() for p in again.parameters()) < 0.7 * before
    x = batch((28, 28), 1)["images"]
    assert torch.allclose(net.eval()(x).logits, again.eval()(x).logits, atol=1e-5)


def student(hint: str, **changes: Any) -> tuple[Any, Any, Any, Any]:
    teacher, made = network(**changes)
    backbone = tiny.settings(model={"backbone": {"name": "cnn", "widths": [4, 8]}}).model.backbone
    settings = made.distill["distilled"].model_copy(update={"backbone": backbone, "hint": hint})
    made_student = model.build(model.student(teacher.arch, settings), initial=True)
    teacher.eval().requires_grad_(False)
    model.regress(made_student, teacher)
    return made_student, teacher, settings, made


@pytest.mark.parametrize("hint", ["none", "attention", "fitnets", "relations"])
@pytest.mark.parametrize("several", [False, True])
def test_a_student_comes_to_say_what_its_teacher_says(hint: str, several: bool) -> None:
    net, teacher, settings, made = student(hint, data={"multilabel": several})
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        parts = model.soft_targets(net, teacher, batch(), settings, made)
        assert set(parts) == {"loss", "hard", "soft"} | ({"hint"} if hint != "none" else set())
        parts["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(parts["soft"].item())
    assert parts["loss"].isfinite() and losses[-1] >= 0


def test_a_student_of_other_resolutions_is_told() -> None:
    net, teacher, settings, made = student("attention", model={"backbone": {"name": "mlp", "widths": [8]}})
    with pytest.raises(TrainingError, match="no map of the student"):
        model.soft_targets(net, teacher, batch(), settings, made)


def test_mixed_targets_reach_the_loss(edges: Path) -> None:
    made = tiny.settings(train={"mixup": 1.0, "batch_size": 8})
    net, _ = network()
    mixed = next(iter(data.loaders(edges, edges, made, 7, None).train))
    assert ((mixed["targets"] > 0) & (mixed["targets"] < 1)).any()
    assert model.loss(net, mixed, made)["loss"].isfinite()
