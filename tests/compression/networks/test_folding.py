"""BatchNorm folded in every backbone: fewer norms, the same numbers, the original untouched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compression.networks.folding import fold, pairs
from modalities.images import backbones


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in network.modules())


def scatter(network: nn.Module) -> nn.Module:
    """Random statistics, as if trained."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "settings", "left"),
    [
        ("mlp", {"norm": "batch"}, 0),
        ("cnn", {}, 0),
        ("resnet18", {}, 0),
        ("resnet18", {"preactivation": True}, 9),  # the first norm of each block, and the last
        ("resnet50", {"depth": 0.5}, 0),
        ("densenet121", {"blocks": [2, 2, 2, 2]}, 12),  # the first of each layer and the last of each block
        ("mobilenet_v1", {}, 0),
        ("mobilenet_v2", {}, 0),
        ("efficientnet_lite0", {"whole": True}, 0),
    ],
    ids=str,
)
def test_folding_changes_nothing(name: str, settings: dict[str, Any], left: int) -> None:
    torch.manual_seed(0)
    network = scatter(backbones.build(backbones.describe(name, settings, size=(32, 32)))).train()
    before = copy.deepcopy(network.state_dict())
    folded = fold(network)
    assert norms(folded) == left < norms(network) and network.training and not folded.training
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 255
    with torch.no_grad():
        for mine, other in zip(folded(x), network.eval()(x), strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


class Shared(nn.Module):
    """A convolution that is seen beside the norm, one used twice, and one that can be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.convs[0](x)
        x = self.norms[0](y) + y
        x = self.norms[1](self.convs[1](self.convs[1](x)))
        return self.norms[2](self.convs[2](x))


def test_what_something_else_sees_is_not_folded() -> None:
    network = scatter(Shared())
    assert pairs(network) == [("convs.2", "norms.2")]
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(fold(network)(x), network(x))
