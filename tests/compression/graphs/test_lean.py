"""A quantized graph without what need not be said computes the same, and is smaller."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from compression.graphs.lean import lean


def graph(zero: int) -> onnx.ModelProto:
    """x float (3, 4) times a matrix in int8, whose `zero` point is given; it is said twice that x is a matrix."""
    constants = {
        "weights": np.arange(-6, 6, dtype=np.int8).reshape(4, 3),
        "scale": np.full(3, 0.5, np.float32),
        "zero": np.full(3, zero, np.int8),
    }
    made = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["weights", "scale", "zero"], ["floats"], name="back", axis=1),
            helper.make_node("MatMul", ["x", "floats"], ["y"], name="product"),
        ],
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
        value_info=[helper.make_tensor_value_info("floats", TensorProto.FLOAT, [4, 3])],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(model: onnx.ModelProto) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.arange(12, dtype=np.float32).reshape(3, 4)})[0]


def test_zero_points_that_are_zero_go() -> None:
    model = graph(0)
    before, size = run(model), model.ByteSize()
    lean(model)
    assert [tensor.name for tensor in model.graph.initializer] == ["weights", "scale"]
    assert list(model.graph.node[0].input) == ["weights", "scale"]
    assert model.ByteSize() < size and not model.graph.value_info
    assert np.array_equal(run(model), before)


def test_others_stay() -> None:
    model = graph(3)
    before = run(model)
    lean(model)
    assert list(model.graph.node[0].input) == ["weights", "scale", "zero"]
    assert np.array_equal(run(model), before)
