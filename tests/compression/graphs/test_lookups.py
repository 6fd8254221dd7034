"""Tables in int8: a quarter of the bytes, the same rows up to half a step, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from compression.graphs.lookups import lookups_int8, rounded

ROWS, COLUMNS = 300, 24


def table() -> np.ndarray:
    values = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)).astype(np.float32)
    values[:, 5] *= 100  # a column that would cost all others their digits, were there one scale for all
    values[:, 7] = 0
    return values


def graph(*nodes: onnx.NodeProto, outputs: dict[str, list[str | int]]) -> onnx.ModelProto:
    """ids int64 (batch, time), x float (batch, COLUMNS) -> `outputs`; `table` and constants are initializers."""
    floats, integers = TensorProto.FLOAT, TensorProto.INT64
    constants = {"table": table(), "one": np.array([1]), "four": np.array([4]), "rows": np.array([0])}
    made = helper.make_graph(
        list(nodes),
        "reads",
        [helper.make_tensor_value_info("ids", integers, ["batch", "time"])],
        [helper.make_tensor_value_info(name, floats, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def run(model: onnx.ModelProto) -> list[np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"ids": np.array([[0, 3, 299], [7, 7, 120]])})


GATHER = helper.make_node("Gather", ["table", "ids"], ["embedded"], name="gather")
SLICE = helper.make_node("Slice", ["table", "one", "four", "rows"], ["positions"], name="slice")


def test_rows_come_back_up_to_half_a_step() -> None:
    model = graph(GATHER, SLICE, outputs={"embedded": ["batch", "time", COLUMNS], "positions": [3, COLUMNS]})
    before, size = run(model), len(model.SerializeToString())
    assert lookups_int8(model) == ["table"]
    onnx.checker.check_model(model)
    assert len(model.SerializeToString()) < 0.35 * size
    step = np.abs(table()).max(0) / 127
    for mine, other in zip(run(model), before, strict=True):
        assert mine.dtype == np.float32 and mine.shape == other.shape
        assert (np.abs(mine - other) <= step / 2 * 1.001).all()
        assert np.abs(mine - other).max() > 0
    assert lookups_int8(model) == [], "once is enough"


def test_a_table_that_is_multiplied_too_stays() -> None:
    """Its weights are another step's, and one tensor has one type."""
    product = helper.make_node("MatMul", ["embedded", "turned"], ["scores"], name="product")
    turned = helper.make_node("Transpose", ["table"], ["turned"], name="turn", perm=[1, 0])
    model = graph(GATHER, turned, product, outputs={"scores": ["batch", "time", ROWS]})
    before = model.SerializeToString()
    assert lookups_int8(model) == []
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Gather", ["table", "rows"], ["out"], name="columns", axis=1),
        helper.make_node("Slice", ["table", "one", "four", "one"], ["out"], name="columns"),
        helper.make_node("Slice", ["table", "one", "four"], ["out"], name="first axes"),
    ],
)
def test_what_is_read_otherwise_stays(node: onnx.NodeProto) -> None:
    model = graph(GATHER, node, outputs={"embedded": ["batch", "time", COLUMNS], "out": ["r", "c"]})
    assert lookups_int8(model) == []


def test_a_scale_for_each_column() -> None:
    values, scale = rounded(table())
    assert values.dtype == np.int8 and scale.dtype == np.float32
    assert (np.abs(values).max(0) == np.where(np.arange(COLUMNS) == 7, 0, 127)).all()
    assert values.min() == -127
    assert np.abs(values * scale - table()).max(0)[0] < 0.02
