"""Every backbone as an ONNX graph: exported with a free batch, equal to torch, folded and not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
import pytest
import torch
from test_backbones import SMALL, make, pictures
from torch import nn

from compression.networks.folding import fold
from core.task import Graph
from stages.export import write_graph

pytestmark = pytest.mark.models

CASES: list[Any] = [(name, {}) for name in SMALL]
CASES += [("cnn", {"norm": "group", "activation": "swish"}), ("mlp", {"norm": "batch"})]
CASES += [
    pytest.param(name, change, marks=pytest.mark.slow)
    for name, change in (
        ("cnn", {"norm": "layer", "activation": "swish"}),
        ("cnn", {"norm": "instance", "activation": "swish"}),
        ("resnet18", {"preactivation": True, "small": True}),
    )
]


class Last(nn.Module):
    """The coarsest map alone: one output, whatever the backbone."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network(pixels)[-1]


@pytest.mark.parametrize(("name", "change"), CASES, ids=str)
def test_onnx_runtime_computes_what_torch_does(name: str, change: dict[str, Any], tmp_path: Path) -> None:
    network = make(name, **change)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    network.eval()
    path = tmp_path / "backbone.onnx"
    graph = Graph("backbone", Last(fold(network)), {"pixels": pictures(2)}, ["map"], {"pixels": {0: "batch"}})
    write_graph(graph, path, 18)
    model = onnx.load(path)
    assert (
        "BatchNormalization" not in {node.op_type for node in model.graph.node}
        or name == "densenet121"
        or change.get("preactivation")
    )
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for count in (1, 3):
        x = pictures(count)
        with torch.no_grad():
            wanted = network(x)[-1]
        (found,) = session.run(None, {"pixels": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=1e-3, atol=1e-4)
