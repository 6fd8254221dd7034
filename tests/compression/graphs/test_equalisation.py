"""Channels that are scaled between two layers: the same numbers at the end, and alike reaches between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compression.graphs import equalisation
from compression.graphs.joints import Search
from compression.graphs.layers import values
from core.errors import ModelError
from core.onnx_session import session

C, FAR = 8, 1000.0


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def written(path: Path, nodes: list[Any], constants: dict[str, NDArray[Any]], shape: list[Any], end: str = "y") -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(end, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def node(kind: str, *inputs: str, out: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, list(inputs), [out], name=out, **attributes)


def convolutions(path: Path, between: str = "Relu", group: int = 1, **more: Any) -> Path:
    """Two of them; one channel between reaches `FAR` times as far as it does without."""
    first, bias, second = normal(C, 3, 3, 3), normal(C), normal(2 * C, C // group, 3, 3)
    first[2] *= FAR
    bias[2] *= FAR
    if group == 1:
        second[:, 2] /= FAR
    else:
        second[4:6] /= FAR  # both that read channel 2
    limits = {"low": np.array(0), "high": np.array(6)} if between == "Clip" else {}
    nodes = [
        node("Conv", "x", "first", "bias", out="a"),
        node(between, "a", *limits, out="b", **more),
        node("Conv", "b", "second", out="y", group=group, pads=[1] * 4),
    ]
    return written(path, nodes, {"first": first, "bias": bias, "second": second} | limits, [2, 3, 9, 9])


def transformer(path: Path) -> Path:
    """A norm, a layer with a bias, ReLU and another layer, which is read twice at its beginning."""
    scale, first, bias, second = normal(C), normal(C, 2 * C), normal(2 * C), normal(2 * C, C)
    scale[2] *= FAR
    first[2] /= FAR
    first[:, 3] *= FAR
    bias[3] *= FAR
    second[3] /= FAR
    nodes = [
        node("LayerNormalization", "x", "scale", "shift", out="n"),
        node("MatMul", "n", "first", out="p"),
        node("Add", "bias", "p", out="q"),
        node("Relu", "q", out="r"),
        node("MatMul", "r", "second", out="s"),
        node("MatMul", "n", "other", out="t"),
        node("Add", "s", "t", out="y"),
    ]
    constants = {"scale": scale, "shift": normal(C, seed=1) * scale, "first": first, "bias": bias, "second": second}
    other = normal(C, C)
    other[2] /= FAR
    return written(path, nodes, constants | {"other": other}, [2, 5, C])


def same(one: Path, two: Path, x: NDArray[Any]) -> bool:
    outputs = [session(path, 1).run(None, {"x": x})[0] for path in (one, two)]
    return np.array_equal(*outputs)


@pytest.mark.parametrize("group", [1, C])
@pytest.mark.parametrize(("between", "more"), [("Relu", {}), ("LeakyRelu", {}), ("MaxPool", {"kernel_shape": [2, 2]})])
def test_between_convolutions(tmp_path: Path, between: str, more: dict[str, Any], group: int) -> None:
    source, target = convolutions(tmp_path / "a.onnx", between, group, **more), tmp_path / "b.onnx"
    x = normal(2, 3, 9, 9)
    assert equalisation.equalise(source, target, [{"x": x}]) == ["first"]
    assert same(source, target, x), "powers of two are exact"
    before, after = (np.abs(next(values(path, [{"x": x}], ["b"]))["b"]).max((0, 2, 3)) for path in (source, target))
    assert before.max() > 16 * np.median(before) and after.max() < 4 * np.median(after)
    assert not equalisation.equalise(target, tmp_path / "c.onnx", [{"x": x}]), "it is mended"
    assert not (tmp_path / "c.onnx").exists()


def test_behind_a_norm_and_in_a_feed_forward_layer(tmp_path: Path) -> None:
    source, target, x = transformer(tmp_path / "a.onnx"), tmp_path / "b.onnx", normal(2, 5, C)
    assert equalisation.equalise(source, target, [{"x": x}]) == ["scale", "first"]
    assert same(source, target, x)
    for name in ("n", "r"):
        before, after = (np.abs(next(values(path, [{"x": x}], [name]))[name]).max((0, 1)) for path in (source, target))
        assert before.max() > 16 * np.median(before) and after.max() < 5 * np.median(after)


@pytest.mark.parametrize("between", ["Clip", "HardSwish", "Sigmoid"])
def test_what_is_not_homogeneous_is_left_alone(tmp_path: Path, between: str) -> None:
    assert not equalisation.equalise(convolutions(tmp_path / "a.onnx", between), tmp_path / "b.onnx", [])


def test_what_somebody_else_reads_is_left_alone(tmp_path: Path) -> None:
    source = convolutions(tmp_path / "a.onnx")
    model = onnx.load(source)
    graph = model.graph
    assert [joint.read for joint in Search(graph).joints()] == [["b"]]
    graph.node.append(node("Add", "b", "b", out="twice"))
    assert not list(Search(graph).joints()), "a sum"
    graph.node.pop()
    graph.output.append(onnx.ValueInfoProto(name="b"))
    assert not list(Search(graph).joints()), "an output"
    graph.output.pop()
    graph.node.append(node("Conv", "other", "second", out="z"))
    assert not list(Search(graph).joints()), "weights of a layer that reads something else"
    graph.node.pop()
    graph.node.append(node("Mul", "other", "bias", out="z"))
    assert not list(Search(graph).joints()), "a bias that is used elsewhere"


@pytest.mark.parametrize("shared", ["both", "second"])
def test_layers_that_share_weights_are_scaled_alike(tmp_path: Path, shared: str) -> None:
    """Towers of a detector over maps of several sizes, and the head behind them, which is one for all."""
    source, target = convolutions(tmp_path / "a.onnx"), tmp_path / "b.onnx"
    model, own = onnx.load(source), ["first", "bias"] if shared == "both" else ["first2", "bias2"]
    more = [
        node("MaxPool", "x", out="small", kernel_shape=[2, 2]),
        node("Conv", "small", *own, out="a2"),
        node("Relu", "a2", out="b2"),
        node("Conv", "b2", "second", out="y2", pads=[1] * 4),
    ]
    model.graph.node.extend(more)
    model.graph.output.append(onnx.ValueInfoProto(name="y2"))
    constants = {"first2": normal(C, 3, 3, 3, seed=2), "bias2": normal(C, seed=2)}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.save(model, source)
    (joint,) = Search(model.graph).joints()
    assert joint.read == ["b", "b2"] and set(joint.made) == {"first", "bias", *own}
    x = normal(2, 3, 9, 9)
    assert len(equalisation.equalise(source, target, [{"x": x}])) == 1
    for one, two in zip(*(session(path, 1).run(["y", "y2"], {"x": x}) for path in (source, target)), strict=True):
        assert np.array_equal(one, two)
    model.graph.node[-2].op_type = "Sigmoid"
    assert not list(Search(model.graph).joints())


def test_scales_are_those_of_the_formula() -> None:
    """By hand: sqrt(a / w) is 32, 4, 1, 1/8; their geometric mean is 2; a channel that is nothing is left alone."""
    found = equalisation.scales(np.array([1024.0, 16.0, 1.0, 1 / 64, 0.0]), np.array([1.0, 1.0, 1.0, 1.0, 5.0]))
    assert found is not None and found.tolist() == [16.0, 2.0, 0.5, 1 / 16, 1.0]
    assert equalisation.scales(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0])) is None, "nothing is dwarfed"
    assert equalisation.scales(np.array([1.0, 1.0, 1.0]), np.array([1e4, 1.0, 1.0])) is None, "it only moves"


def test_a_graph_that_says_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, x = convolutions(tmp_path / "a.onnx"), normal(2, 3, 9, 9)
    monkeypatch.setattr(equalisation, "_each", lambda found, node, value: np.float32(1))
    with pytest.raises(ModelError, match="y is not the same with equalised channels"):
        equalisation.equalise(source, tmp_path / "b.onnx", [{"x": x}])
