"""Layers that are computed in int8, where a graph goes on from them, and what it computes inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compression.graphs import layers, quantization


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """Two convolutions with what follows them, their sum, and a softmax of it."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=(4, 3, 1, 1)).astype(np.float32), "body.first.weight"),
        numpy_helper.from_array(rng.normal(size=(4, 4, 1, 1)).astype(np.float32), "val_1"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "body.first.weight"], ["a"], name="one"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "val_1"], ["c"], name="two"),
        helper.make_node("Add", ["b", "c"], ["d"], name="sum"),
        helper.make_node("Shape", ["d"], ["s"], name="shape"),
        helper.make_node("Softmax", ["d"], ["y"], name="softmax", axis=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 2, 2])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4, 2, 2]) for name in ("c", "y")]
    shape = helper.make_tensor_value_info("s", TensorProto.INT64, [4])
    graph = helper.make_graph(nodes, "g", [x], [*outputs, shape], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "network.onnx")
    return tmp_path / "network.onnx"


def pictures(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(1).normal(size=(count, 1, 3, 2, 2)).astype(np.float32))


def int8(network: Path, name: str, floats: tuple[str, ...] = ()) -> Path:
    target = network.with_name(name)
    quantization.convolutions_int8(network, target, pictures(8), lambda sample: {"x": sample}, floats=floats)
    return target


def test_a_layer_is_what_is_computed_in_int8_together(network: Path) -> None:
    found = layers.in_int8(network, int8(network, "int8.onnx"))
    assert [(layer.name, layer.nodes) for layer in found] == [("body.first", ("one", "relu")), ("two", ("two",))]
    assert {layer.graph for layer in found} == {"network.onnx"}
    found = layers.in_int8(network, int8(network, "half.onnx", floats=("one", "relu")))
    assert [layer.name for layer in found] == ["two"]


def test_a_graph_goes_on_behind_its_layers(network: Path) -> None:
    graph = onnx.load(network).graph
    assert set(layers.behind(graph, {"one", "relu", "two", "sum"})) == {"c", "s", "y"}
    assert set(layers.behind(graph, {"one", "relu", "two"})) == {"c", "d"}
    assert layers.behind(graph, {"softmax"}) == ["y"]


def test_values_inside_are_those_of_the_graph(network: Path) -> None:
    (first,) = layers.values(network, [{"x": pictures(1)[0]}], ["x", "b", "d", "s"])
    assert set(first) == {"x", "b", "d"}, "a shape is no tensor of floats"
    assert (first["b"] >= 0).all() and first["d"].shape == (1, 4, 2, 2)
    every = [set(found) for found in layers.values(network, [{"x": sample} for sample in pictures(2)])]
    assert every == [{"x", "a", "b", "c"}] * 2
