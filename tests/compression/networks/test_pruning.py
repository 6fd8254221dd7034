"""Pruning of every backbone: it shrinks, rebuilds from its description, and computes the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compression.networks import pruning
from core.errors import TrainingError
from modalities.images import backbones
from training import gradients

CASES: list[tuple[str, dict[str, Any]]] = [
    ("mlp", {"widths": [64, 48]}),
    ("cnn", {}),
    ("resnet18", {}),
    ("resnet18", {"preactivation": True, "small": True}),
    ("resnet50", {"depth": 0.5, "norm": "layer"}),
    ("densenet121", {"blocks": [2, 3, 2, 2]}),
    ("densenet121", {"blocks": [2, 2, 2], "growth": 12, "bottleneck": 0, "norm": "group", "small": True}),
    ("mobilenet_v1", {"norm": "instance"}),
    ("mobilenet_v2", {"norm": "none"}),
    ("efficientnet_lite0", {"whole": True}),
]


class Network(nn.Module):
    """A backbone and a layer that predicts, whose outputs stay."""

    def __init__(self, description: dict[str, Any]):
        super().__init__()
        self.backbone = backbones.build(description)
        self.head = nn.Linear(self.backbone.channels[-1], 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x)[-1].mean((2, 3)))


def size(network: nn.Module, x: torch.Tensor) -> tuple[int, int]:
    """Parameters and multiply-adds."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(x)
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() // 2


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_a_pruned_backbone_rebuilds_and_computes_the_same(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Network(backbones.describe(name, settings, size=(32, 32)))
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 255
    before = size(network, x)
    pruning.prune(network.train(), torch.zeros(1, 3, 32, 32), 0.3, [network.head])
    assert network.training
    left = json.loads(json.dumps(backbones.widths(network.backbone)))
    after = size(network, x)
    assert after[0] < 0.75 * before[0] and after[1] < 0.8 * before[1]
    for layer in network.backbone.modules():
        if isinstance(layer, nn.Conv2d) and layer.out_channels > 16:
            assert layer.out_channels % 16 == 0
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    again = Network(left).eval()
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    with torch.no_grad():
        assert torch.equal(again(x), network.eval()(x))
    assert backbones.widths(again.backbone) == left


def test_the_weakest_channels_leave() -> None:
    """Channels that do nothing are the first to go, so the outputs stay."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 4, 1)).eval()
    with torch.no_grad():
        network[0].weight[::2] = 0
        network[0].bias[::2] = 0
        network[2].weight[:, ::2] = 0
    x = torch.randn(1, 3, 8, 8)
    wanted = network(x)
    pruning.prune(network, x, 0.5, [network[2]])
    assert network[0].out_channels == 8
    torch.testing.assert_close(network(x), wanted)


def test_a_multiple_of_another_number_may_be_kept() -> None:
    network = nn.Sequential(nn.Linear(4, 30), nn.ReLU(), nn.Sequential(nn.Linear(30, 2), nn.Linear(2, 1)))
    pruning.prune(network, torch.zeros(1, 4), 0.5, [network[2]], round_to=1)
    assert network[0].out_features == 15 and network[2][0].out_features == 2


def test_a_layer_of_which_nothing_would_be_left_is_named() -> None:
    """docs/faults.md 75."""
    network = Network(backbones.describe("mlp", {"widths": [16, 4]}, size=(8, 8)))
    with pytest.raises(TrainingError, match=r"leaves nothing of layer backbone.linears.1 \(4 units\).* 0.75"):
        pruning.prune(network, torch.zeros(1, 3, 8, 8), 0.9, [network.head])
    assert network.backbone.linears[0].out_features == 16


def half_dead() -> nn.Sequential:
    """Every second channel has large weights, and is dead behind its bias, its BatchNorm or the ReLU."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 4, 1)).eval()
    with torch.no_grad():
        network[0].weight[::2] *= 10
        network[1].weight[::2] = 1e-6
        network[1].bias[::2] = -1
    return network


@pytest.mark.parametrize("importance", ["taylor", "bn_scale"])
def test_other_importance_sees_channels_that_are_dead_in_spite_of_their_weights(importance: Any) -> None:
    network = half_dead()
    x = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        before = network(x)
    if importance == "taylor":
        gradients.accumulate(network, [x, -x], lambda model, batch: {"loss": model(batch).square().sum()})
    pruning.prune(network, x[:1], 0.5, [network[3]], importance=importance)
    assert network[0].out_channels == 16 and all(parameter.grad is None for parameter in network.parameters())
    with torch.no_grad():
        torch.testing.assert_close(network(x), before)
    by_size = half_dead()
    pruning.prune(by_size, x[:1], 0.5, [by_size[3]])
    with torch.no_grad():
        assert not torch.allclose(by_size(x), before)


def test_importance_by_batchnorm_needs_one() -> None:
    network = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 4, 1))
    with pytest.raises(TrainingError, match="bn_scale needs BatchNorm layers"):
        pruning.prune(network, torch.zeros(1, 3, 8, 8), 0.5, [network[2]], importance="bn_scale")
    network.insert(1, nn.BatchNorm2d(16, affine=False))  # it has no scale
    with pytest.raises(TrainingError, match="bn_scale needs BatchNorm layers"):
        pruning.prune(network, torch.zeros(1, 3, 8, 8), 0.5, [network[3]], importance="bn_scale")
