"""ONNX's recurrent operators with the weights that a graph gets say what torch's layers say; also stored in int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from compression.graphs.recurrent import recurrent_int8
from modalities.audio.backbones.bodies import Recurrent
from modalities.audio.backbones.operators import Layers

pytestmark = pytest.mark.models


def graph(layers: Layers, path: Path) -> None:
    """Of one layer: x (frames, batch, 5), lengths (batch,) -> states."""
    names = ["weight_ih_l0_0", "weight_hh_l0_0", "bias_0"]
    stored = [numpy_helper.from_array(getattr(layers, name).numpy(), name) for name in names]
    more = {"linear_before_reset": 1} if layers.kind == "GRU" else {}
    way = "bidirectional" if layers.both else "forward"
    node = helper.make_node(
        layers.kind, ["x", *names, "lengths"], ["y"], hidden_size=layers.sizes[0], direction=way, **more
    )
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["f", "b", 5])]
    inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["b"]))
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    made = helper.make_model(
        helper.make_graph([node], "g", inputs, outputs, stored),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    onnx.save(made, path)


def states(path: Path, x: torch.Tensor, lengths: torch.Tensor) -> np.ndarray:
    opened = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fed = {"x": x.transpose(0, 1).contiguous().numpy(), "lengths": lengths.int().numpy()}
    (y,) = opened.run(None, fed)
    return np.asarray(y).transpose(2, 0, 1, 3).reshape(*x.shape[:2], -1)


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_operator_is_the_layer(cell: str, both: bool, tmp_path: Path) -> None:
    torch.manual_seed(3)
    told = Recurrent(cell, 5, [6], both)
    with torch.no_grad():
        for parameter in told.parameters():
            parameter.normal_(0, 0.5)
    x, lengths = torch.randn(3, 9, 5), torch.tensor([9, 4, 1])
    with torch.no_grad():
        wanted = told(x, lengths)[0].numpy()
    graph(Layers(told), tmp_path / "a.onnx")
    np.testing.assert_allclose(states(tmp_path / "a.onnx", x, lengths), wanted, atol=1e-5)
    before = (tmp_path / "a.onnx").stat().st_size
    assert recurrent_int8(tmp_path / "a.onnx") == 1
    kinds = [node.op_type for node in onnx.load(tmp_path / "a.onnx").graph.node]
    assert kinds.count("DequantizeLinear") == 2 and (tmp_path / "a.onnx").stat().st_size < before
    found = states(tmp_path / "a.onnx", x, lengths)
    assert 0 < np.abs(found - wanted).max() < 0.05
