"""Backbones: published sizes, shapes, options, descriptions, the arithmetic of separable convolutions."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from core.errors import ModelError, ParamsError
from core.params import Section, typed
from modalities.images import backbones
from modalities.images.backbones import layers, resnet, tuning
from modalities.images.params import backbones as settings

PUBLISHED = {
    ("resnet18", 1.0): 11_689_512,
    ("resnet34", 1.0): 21_797_672,
    ("resnet50", 1.0): 25_557_032,
    ("resnet50", 2.0): 68_883_240,
    ("densenet121", None): 7_978_856,
    ("mobilenet_v1", 1.0): 4_231_976,
    ("mobilenet_v2", 1.0): 3_504_872,
}
"""With a linear layer to 1000 classes: torchvision's documentation of its models, and Howard et al. 2017, table 8
(4.2 million), whose network is counted exactly by Keras (4,253,864 with BatchNorm's 21,888 statistics)."""
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"widths": [40, 24]},
    "cnn": {"widths": [16, 24, 32, 40, 48]},
    "resnet18": {"width": 0.25},
    "resnet50": {"width": 0.25, "depth": 0.5},
    "densenet121": {"growth": 8, "blocks": [2, 2, 2, 2]},
    "mobilenet_v1": {"width": 0.25, "depth": 0.3},
    "mobilenet_v2": {"width": 0.35, "depth": 0.3},
    "efficientnet_lite0": {"depth": 0.3},
}
SIDE = 32
"""Of the pictures, pixels: the last map of most networks is one pixel."""


def make(name: str, inputs: int = 3, **changes: Any) -> Any:
    """A small network of this kind."""
    torch.manual_seed(3)
    return backbones.build(backbones.describe(name, SMALL.get(name, {}) | changes, inputs, (SIDE, SIDE)))


def pictures(count: int = 2, inputs: int = 3) -> torch.Tensor:
    return torch.rand(count, inputs, SIDE, SIDE, generator=torch.Generator().manual_seed(2)) * 255


@pytest.mark.parametrize(("name", "width"), PUBLISHED, ids=str)
def test_parameters_are_those_published(name: str, width: float | None) -> None:
    with torch.device("meta"):
        network = backbones.build(backbones.describe(name, {} if width is None else {"width": width}))
        head = nn.Linear(network.channels[-1], 1000)
    count = sum(parameter.numel() for module in (network, head) for parameter in module.parameters())
    assert count == PUBLISHED[name, width]


@pytest.mark.parametrize("name", backbones.PYRAMIDS)
def test_maps_are_as_told(name: str) -> None:
    network = backbones.build(backbones.describe(name))
    maps = network(pictures())
    assert {8, 16, 32} <= set(network.strides) and network.strides == sorted(network.strides)
    sides = [SIDE // stride for stride in network.strides]
    assert [x.shape[1:] for x in maps] == [(c, s, s) for c, s in zip(network.channels, sides, strict=True)]


@pytest.mark.parametrize(
    ("name", "strides"),
    [("resnet18", [1, 2, 4, 8]), ("densenet121", [1, 2, 4, 8]), ("mobilenet_v2", [1, 2, 4, 8]),
     ("mobilenet_v1", [1, 2, 4, 8])],
)  # fmt: skip
def test_a_stem_for_small_pictures_keeps_their_resolution(name: str, strides: list[int]) -> None:
    network = make(name, small=True)
    assert network.strides == strides
    assert [x.shape[2] for x in network(pictures())] == [SIDE // stride for stride in strides]


def test_a_perceptron_gives_one_vector_and_must_know_the_size() -> None:
    network = make("mlp")
    assert network(pictures())[0].shape == (2, 24, 1, 1) and network.strides is None
    with pytest.raises(ParamsError, match="mlp needs pictures of one size"):
        backbones.describe("mlp")


@pytest.mark.parametrize("name", SMALL)
def test_a_description_is_json_and_rebuilds(name: str) -> None:
    network = make(name, inputs=1).eval()
    description = json.loads(json.dumps(backbones.widths(network)))
    assert description == network.description
    again = backbones.build(description).eval()
    again.load_state_dict(network.state_dict())
    for mine, other in zip(network(pictures(inputs=1)), again(pictures(inputs=1)), strict=True):
        assert torch.equal(mine, other)


def options() -> list[Any]:
    """Every option of every kind of network, one at a time."""
    cases = []
    for name in SMALL:
        for field in ("norm", "activation", "init"):
            found = settings.SECTIONS[name].model_fields.get(field)
            cases += [(name, {field: value}) for value in get_args(found.annotation)] if found else []
    cases += [(name, {"preactivation": True}) for name in ("resnet18", "resnet50")]
    cases += [("densenet121", {"bottleneck": 0}), ("cnn", {"convolutions": 2, "kernel": 5})]
    return [pytest.param(name, change, id=f"{name}-{change}") for name, change in cases]


@pytest.mark.parametrize(("name", "change"), options())
def test_every_option_computes_and_learns(name: str, change: dict[str, Any]) -> None:
    network = make(name, **change)
    sum(x.square().mean() for x in network(pictures())).backward()
    for parameter in network.parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()
    with torch.no_grad():  # a single picture
        assert all(torch.isfinite(x).all() for x in network.eval()(pictures(1)))


def test_norms_by_hand() -> None:
    x = torch.randn(2, 6, 3, 3, generator=torch.Generator().manual_seed(0)) * 3 + 1
    whole = (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), correction=0, keepdim=True)
    single = (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(layers.norm("layer", 6)(x), whole, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layers.norm("instance", 6)(x), single, rtol=1e-4, atol=1e-4)
    pairs = x.view(2, 2, 27)  # gcd(6, 32) = 2 groups
    grouped = (pairs - pairs.mean(2, keepdim=True)) / pairs.std(2, correction=0, keepdim=True)
    torch.testing.assert_close(layers.norm("group", 6)(x), grouped.view_as(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "activation", "deviation"),
    [
        ("he", "relu", (2 / 576) ** 0.5),
        ("he", "leaky_relu", (2 / (1 + 0.01**2) / 576) ** 0.5),
        ("xavier", "tanh", (2 / (576 + 1152)) ** 0.5),
        ("normal", "relu", 0.01),
    ],
)
def test_initial_weights_have_the_deviation_of_their_paper(kind: str, activation: str, deviation: float) -> None:
    conv = nn.Conv2d(64, 128, 3)
    torch.manual_seed(0)
    layers.initialise(conv, kind, activation)
    assert conv.weight.std().item() == pytest.approx(deviation, rel=0.01) and not conv.bias.any()


def macs(network: nn.Module, x: torch.Tensor) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(x)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(("kernel", "out"), [(3, 64), (5, 128)])
def test_a_separable_convolution_takes_the_share_of_its_formula(kernel: int, out: int) -> None:
    """Howard et al. 2017, section 3.1: 1 / N + 1 / D_K^2."""
    x = torch.zeros(1, 32, 16, 16)
    depthwise = nn.Sequential(layers.convolution(32, 32, kernel, groups=32), layers.convolution(32, out, 1))
    full = layers.convolution(32, out, kernel)
    assert macs(depthwise, x) / macs(full, x) == pytest.approx(1 / out + 1 / kernel**2)


def test_multiply_adds_are_those_of_the_papers() -> None:
    x = torch.zeros(1, 3, 224, 224)
    for name, millions in (("resnet18", 1814), ("mobilenet_v1", 568), ("mobilenet_v2", 300)):
        # Howard et al. 2017, table 8: 569; Sandler et al. 2018, table 4: 300; He et al. 2016, table 1: 1.8 billion
        assert macs(backbones.build(backbones.describe(name)), x) / 1e6 == pytest.approx(millions, rel=0.01)


def test_a_bottleneck_is_widened_within() -> None:
    """Zagoruyko & Komodakis 2016: WideResNet-50-2 has twice the channels in its 3x3 convolutions."""
    wide, plain = (resnet.description("resnet50", width=width)["blocks"][-1] for width in (2.0, 1.0))
    assert (wide["hidden"], wide["out"]) == ([1024, 1024], 2048) and plain["hidden"] == [512, 512]


def test_preactivation_leaves_the_way_of_the_shortcuts_free() -> None:
    """He et al. 2016b: with all residual branches at 0 an identity block changes nothing, not even a negative value."""
    block = resnet.Block(8, [8], 8, 1, False, True, ("batch", "relu"))
    for conv in block.convs:
        nn.init.zeros_(conv.weight)
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(block(x), x)


def test_errors_name_the_setting_and_what_is_valid() -> None:
    with pytest.raises(ParamsError, match="unknown backbone 'resnet19'; did you mean 'resnet18'"):
        backbones.describe("resnet19")
    with pytest.raises(ParamsError) as caught:
        backbones.describe("cnn", {"norm": "bacth", "kernal": 3})
    assert "backbone.norm: found 'bacth', expected 'batch'" in str(caught.value)
    assert "backbone.kernal: unknown key; did you mean 'kernel'" in str(caught.value)


class Model(Section):
    backbone: settings.Backbone


def test_a_field_of_params_holds_every_setting_or_says_what_is_wrong() -> None:
    problems: list[str] = []
    made = typed(Model, {"backbone": {"name": "resnet18", "small": True}}, "task.model", problems).backbone
    assert made["small"] and made["norm"] == "batch" and not problems
    assert backbones.describe(made["name"], made) == backbones.describe("resnet18", {"small": True})
    for value, expected in (
        ({"name": "resnet19"}, "task.model.backbone: name: unknown backbone 'resnet19'; did you mean 'resnet18'"),
        ({"small": True}, "task.model.backbone: name: unknown backbone ''; valid: cnn"),
        ({"name": "cnn", "kernal": 3}, "task.model.backbone: kernal: unknown key; did you mean 'kernel'"),
        ({"name": "mlp", "norm": "group"}, "task.model.backbone: norm: found 'group', expected 'batch', 'layer' or"),
    ):
        problems = []
        assert typed(Model, {"backbone": value}, "task.model", problems) is None
        assert problems[0].startswith(expected), problems


def test_only_one_network_has_packaged_weights() -> None:
    with pytest.raises(ModelError, match="no pretrained weights are packaged for backbone resnet18, only for effic"):
        backbones.load_packaged(make("resnet18"))


def test_packaged_weights_see_a_grey_picture_as_its_three_equal_colours() -> None:
    colour, grey = (
        backbones.build(backbones.describe("efficientnet_lite0", inputs=inputs)).eval() for inputs in (3, 1)
    )
    backbones.load_packaged(colour)
    backbones.load_packaged(grey)
    x = pictures(inputs=1)
    with torch.no_grad():
        for mine, other in zip(grey(x), colour(x.expand(-1, 3, -1, -1)), strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


def test_a_description_without_a_name_is_of_the_first_backbone() -> None:
    old = {key: value for key, value in backbones.describe("efficientnet_lite0").items() if key != "name"}
    assert set(old) == {"stem", "blocks"}
    assert backbones.build(old).strides == [2, 4, 8, 16, 32]


@pytest.mark.parametrize("name", [name for name in backbones.NAMES if name not in ("mlp", "cnn")])
def test_stem_and_first_blocks_freeze(name: str) -> None:
    network = backbones.build(backbones.describe(name))
    tuning.freeze(network, 1)
    tuning.keep_statistics(network.train())
    frozen = [key for key, parameter in network.named_parameters() if not parameter.requires_grad]
    assert all(key.startswith(("stem", "blocks.0.")) for key in frozen) and "stem.weight" in frozen
    assert not any(module.training for module in network.modules() if isinstance(module, nn.BatchNorm2d))


def test_reading_settings_needs_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, modalities.images.params.backbones; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_hints_are_of_the_last_map_of_each_resolution() -> None:
    """Where every block gives one, several have one resolution."""
    student, teacher = (
        backbones.build(backbones.describe(name, {"width": 0.125, "small": True}, levels=levels))
        for name, levels in (("resnet18", "blocks"), ("resnet34", "last"))
    )
    mine, other = tuning.paired(student, teacher)
    assert [student.strides[i] for i in mine] == [teacher.strides[i] for i in other] == teacher.strides
    assert mine == [1, 3, 5, 7] and other == [0, 1, 2, 3]
