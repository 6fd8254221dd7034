"""int8 and fp16 of a small convolutional classifier; the rule for a collapse; parts of graphs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from compression.graphs import calibration, layers, quantization
from compression.graphs.half import halve
from compression.networks.folding import fold
from core.errors import ModelError
from core.onnx_session import IR_VERSION
from core.task import Graph
from modalities.images import backbones
from stages.export import write_graph

pytestmark = pytest.mark.models

LAYERS = layers.WEIGHTED


class Classifier(nn.Module):
    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        super().__init__()
        self.backbone = backbones.build(backbones.describe(name, settings, size=(16, 16)))
        self.head = nn.Linear(self.backbone.channels[-1], 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(self.head(self.backbone(x)[-1].mean((2, 3))), -1)


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 16, 16)).astype(np.float32)


def write(path: Path, name: str, **settings: Any) -> Path:
    torch.manual_seed(0)
    example = {"pixels": torch.from_numpy(pictures(2))}
    module = fold(Classifier(name, settings))
    write_graph(Graph("classifier", module, example, ["log_probs"], {"pixels": {0: "batch"}}), path, 18)
    return path


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fp32") / "classifier.onnx"
    return write(path, "resnet18", width=0.25, depth=0.5, small=True)


def run(path: Path, x: np.ndarray) -> np.ndarray:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"pixels": x})[0]


def feed(sample: Any) -> calibration.Feed:
    return {"pixels": sample[None]}


@pytest.mark.parametrize("method", calibration.METHODS)
def test_static_int8_is_smaller_and_close(graph: Path, tmp_path: Path, method: str) -> None:
    check(graph, tmp_path / "int8.onnx", method)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mlp", {"widths": [64, 32]}),
        ("cnn", {"widths": [16, 32, 64], "activation": "leaky_relu"}),
        ("densenet121", {"blocks": [1, 1], "small": True}),
        pytest.param(
            "mobilenet_v2",
            {"width": 0.35, "depth": 0.3, "norm": "layer", "activation": "swish"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_int8_and_fp16_of_other_networks(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    made = write(tmp_path / "fp32.onnx", name, **settings)
    check(made, tmp_path / "int8.onnx", "minmax")
    quantization.convolutions_fp16(made, tmp_path / "fp16.onnx", LAYERS)
    np.testing.assert_allclose(run(tmp_path / "fp16.onnx", pictures(4)), run(made, pictures(4)), atol=0.02)


def check(source: Path, target: Path, method: str) -> None:
    """Quantize, and compare with fp32: size, kinds of weights, numbers."""
    x = pictures(16)
    quantization.convolutions_int8(source, target, list(x), feed, method, layers.POOLED, LAYERS)
    assert target.stat().st_size < 0.6 * source.stat().st_size
    model = onnx.load(target)
    assert model.ir_version == IR_VERSION
    # Nothing with weights is left in float.
    floats = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    assert not [node.name for node in model.graph.node if node.op_type in LAYERS and floats & set(node.input[1:2])]
    wanted = run(source, x)
    np.testing.assert_allclose(run(target, x), wanted, atol=0.4 * wanted.std())


def test_log_probabilities_are_added_up_in_fp32(tmp_path: Path) -> None:
    """A step of a search: in fp16 sums around -37 would be off by up to 1/64, and a ban would be an infinity."""
    sizes = {"x": [1, 4], "scores": [1, 1], "banned": [8]}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in sizes.items()]
    outputs = [helper.make_tensor_value_info("values", TensorProto.FLOAT, [1, 3])]
    outputs.append(helper.make_tensor_value_info("index", TensorProto.INT64, [1, 3]))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["logits"], name="product"),
        helper.make_node("LogSoftmax", ["logits"], ["log_probs"], name="softmax", axis=-1),
        helper.make_node("Add", ["log_probs", "banned"], ["allowed"], name="ban"),
        helper.make_node("Add", ["allowed", "scores"], ["every"], name="sum"),
        helper.make_node("TopK", ["every", "count"], ["values", "index"], name="best", axis=1),
    ]
    w = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32).round(1)
    constants = [numpy_helper.from_array(w, "w"), numpy_helper.from_array(np.array([3]), "count")]
    graph = helper.make_graph(nodes, "step", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "a.onnx")
    quantization.products_fp16(tmp_path / "a.onnx", tmp_path / "b.onnx")
    banned = np.array([-1e30] * 3 + [0] * 5, np.float32)
    given = {"x": np.ones((1, 4), np.float32), "scores": np.full((1, 1), -37.013, np.float32), "banned": banned}
    (values, index), (rounded, same) = (
        ort.InferenceSession(str(tmp_path / name), providers=["CPUExecutionProvider"]).run(None, given)
        for name in ("a.onnx", "b.onnx")
    )
    np.testing.assert_array_equal(index, same)
    np.testing.assert_allclose(rounded, values, atol=0.003)
    everything = given | {"scores": np.full((1, 1), -1e30, np.float32)}
    opened = ort.InferenceSession(str(tmp_path / "b.onnx"), providers=["CPUExecutionProvider"])
    assert np.isfinite(opened.run(["values"], everything)[0]).all()


def test_fp16_is_half_and_close(graph: Path, tmp_path: Path) -> None:
    target, x = tmp_path / "fp16.onnx", pictures(4)
    quantization.convolutions_fp16(graph, target, LAYERS)
    assert target.stat().st_size < 0.55 * graph.stat().st_size and onnx.load(target).ir_version == IR_VERSION
    np.testing.assert_allclose(run(target, x), run(graph, x), atol=0.01)


def test_what_follows_the_last_layer_stays_float(graph: Path) -> None:
    nodes = {node.name: node.op_type for node in onnx.load(graph).graph.node}
    after = {nodes[name] for name in layers.after_layers(onnx.load(graph).graph, LAYERS)}
    assert after == {"LogSoftmax"}
    only_convolutions = {nodes[name] for name in layers.after_layers(onnx.load(graph).graph)}
    assert only_convolutions > after and "Conv" not in only_convolutions
    between = {nodes[name] for name in layers.between_layers(onnx.load(graph).graph, LAYERS)}
    assert "Sub" not in between and {"Conv", "Relu", "Add"} < between


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """x (n, 8) by a weight, and by itself, as attention does; written with the newest IR version."""
    weight = numpy_helper.from_array(np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["pixels", "w"], ["y"], name="weight"),
        helper.make_node("Transpose", ["y"], ["t"], name="turn"),
        helper.make_node("MatMul", ["y", "t"], ["z"], name="scores"),
    ]
    values = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 8])]
    values.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", "n"]))
    made = helper.make_graph(nodes, "g", values[:1], values[1:], [weight])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=11)
    onnx.save(model, tmp_path / "product.onnx")
    return tmp_path / "product.onnx"


@pytest.mark.parametrize("kind", ["dynamic", "static", "fp16"])
def test_products_by_weights_shrink_and_those_of_activations_stay(product: Path, tmp_path: Path, kind: str) -> None:
    target, x = tmp_path / f"{kind}.onnx", np.random.default_rng(1).normal(size=(4, 8)).astype(np.float32)
    if kind == "fp16":
        quantization.products_fp16(product, target)
    else:
        quantization.products_int8(product, target, [{"pixels": x}] if kind == "static" else None)
    model = onnx.load(target)
    assert model.ir_version == IR_VERSION
    kinds = [node.op_type for node in model.graph.node]
    if kind != "fp16":
        assert kinds.count("MatMulIntegerToFloat") == 1 and kinds.count("MatMul") == 1
    wanted = run(product, x)
    np.testing.assert_allclose(run(target, x), wanted, atol=0.03 * np.abs(wanted).max())


@pytest.mark.parametrize("mode", ["dynamic", "static"])
def test_a_product_with_its_sum_is_one_in_int8(tmp_path: Path, mode: str) -> None:
    """Gemm, its matrix turned, as `nn.Linear` is exported."""
    rng = np.random.default_rng(0)
    weight, bias, x = (rng.normal(size=size).astype(np.float32) for size in ((6, 8), 6, (4, 8)))
    node = helper.make_node("Gemm", ["pixels", "w", "b"], ["y"], name="linear", transB=1)
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", k]) for n, k in (("pixels", 8), ("y", 6))]
    constants = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")]
    made = helper.make_graph([node], "g", ends[:1], ends[1:], constants)
    source, target = tmp_path / "gemm.onnx", tmp_path / "int8.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), source)
    quantization.products_int8(source, target, [{"pixels": x}] if mode == "static" else None)
    assert {"Gemm", "MatMul"}.isdisjoint(node.op_type for node in onnx.load(target).graph.node)
    wanted = x @ weight.T + bias
    np.testing.assert_allclose(run(target, x), wanted, atol=0.03 * np.abs(wanted).max())


@pytest.mark.parametrize(("columns", "wide"), [(6, 1), (1, 6)])
def test_a_sum_that_is_no_bias_stays_beside_its_product(tmp_path: Path, columns: int, wide: int) -> None:
    """ONNX Runtime wants a number for each column, and refused to run the product."""
    rng = np.random.default_rng(0)
    weight, more, x = (rng.normal(size=size).astype(np.float32) for size in ((8, columns), wide, (4, 8)))
    nodes = [helper.make_node("MatMul", ["pixels", "w"], ["p"], name="product")]
    nodes.append(helper.make_node("Add", ["p", "b"], ["y"], name="sum"))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", k]) for n, k in (("pixels", 8), ("y", 6))]
    constants = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(more, "b")]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    source, target = tmp_path / "sum.onnx", tmp_path / "int8.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), source)
    quantization.products_int8(source, target, [{"pixels": x}])
    wanted = x @ weight + more
    np.testing.assert_allclose(run(target, x), wanted, atol=0.03 * np.abs(wanted).max())


@pytest.mark.parametrize("mode", ["dynamic", "static"])
def test_a_row_of_a_product_depends_on_no_other_row(product: Path, tmp_path: Path, mode: str) -> None:
    model, target = onnx.load(product), tmp_path / "rows.onnx"
    del model.graph.node[1:]
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8]))
    onnx.save(model, product)
    x = np.random.default_rng(1).normal(size=(6, 8)).astype(np.float32)
    x[3] *= 100
    quantization.products_int8(product, target, [{"pixels": x}] if mode == "static" else None)
    alone = np.concatenate([run(target, row[None]) for row in x])
    np.testing.assert_array_equal(run(target, x), alone)
    if mode == "dynamic":  # each row has all steps of its own scale
        np.testing.assert_allclose(alone, run(product, x), atol=0.03 * np.abs(x).max(1, keepdims=True).max())
        assert np.abs(alone - run(product, x))[np.arange(6) != 3].max() < 0.1


@pytest.mark.parametrize(
    ("before", "after", "better", "loss"),
    [(0.8, 0.75, "higher", 0.05), (0.8, 0.9, "higher", -0.1), (4.0, 4.05, "lower", 0.05), (4.0, 3.0, "lower", -1.0)],
)
def test_a_loss_within_the_limit_is_returned(before: float, after: float, better: Any, loss: float) -> None:
    assert quantization.collapse(before, after, 0.1, better) == pytest.approx(loss)


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [
        (0.8, 0.6, "higher"),
        (4.0, 4.2, "lower"),
        (0.8, math.nan, "higher"),
        (math.nan, 0.8, "higher"),
        (4.0, math.nan, "lower"),
        (4.0, math.inf, "lower"),
    ],
)
def test_a_collapse_is_refused(before: float, after: float, better: Any) -> None:
    """docs/faults.md 74; a figure that is no number has collapsed, too."""
    with pytest.raises(ModelError, match=r"the model goes from .* `quantize.max_loss` allows a loss of 0.1; do this"):
        quantization.collapse(before, after, 0.1, better, "the model", "do this")


def test_chunks_of_calibration_are_whole() -> None:
    assert [len(calibration.sample(40, count, 7)) for count in (3, 8, 15, 16)] == [3, 8, 8, 16]
    assert calibration.sample(5, 8, 7) == [0, 1, 2, 3, 4]
    assert calibration.sample(40, 8, 7) == sorted(set(calibration.sample(40, 8, 7))) != calibration.sample(40, 8, 8)
    reader = calibration.Feeds([1, 2, 3], lambda sample: {"x": np.array([sample])})
    reader.set_range(1, 3)
    assert [reader.get_next()["x"].item() for _ in range(2)] == [2, 3] and reader.get_next() is None


def test_halving_a_shared_tensor_loads_in_onnx_runtime(tmp_path: Path) -> None:
    """One input with several fp32 users and one weight that both sides use: a cast each, not one name twice."""
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["y"], name="trunk"),
        helper.make_node("Add", ["y", "w"], ["a"], name="one"),
        helper.make_node("Sub", ["y", "x"], ["b"], name="two"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("x", "a", "b")]
    weight = numpy_helper.from_array(np.array([3.0], np.float32), "w")
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = ort.InferenceSession(halve(model, {"trunk"}).SerializeToString(), providers=["CPUExecutionProvider"])
    a, b = session.run(None, {"x": np.array([1.0, 2.0], np.float32)})
    assert a.tolist() == [6.0, 9.0] and b.tolist() == [2.0, 4.0]


def test_halving_up_to_an_output_that_others_use_keeps_it_fp32(tmp_path: Path) -> None:
    """As a class activation map: the last convolution's output is the graph's, and its mean is computed in fp32."""
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["y"], name="trunk"),
        helper.make_node("Neg", ["y"], ["z"], name="inner"),
        helper.make_node("Add", ["y", "z"], ["a"], name="outside"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("x", "y", "a")]
    weight = numpy_helper.from_array(np.array([3.0], np.float32), "w")
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    halved = halve(model, {"trunk", "inner"}).SerializeToString()
    y, a = ort.InferenceSession(halved, providers=["CPUExecutionProvider"]).run(None, {"x": np.ones(2, np.float32)})
    assert y.dtype == np.float32 and y.tolist() == [3.0, 3.0] and a.tolist() == [0.0, 0.0]


def test_weights_of_seven_bits(graph: Path, tmp_path: Path) -> None:
    """For processors whose sums of 8-bit products saturate."""
    largest = {}
    for bits in (7, 8):
        target = tmp_path / f"{bits}.onnx"
        samples = list(pictures(8)[:, None])
        quantization.convolutions_int8(
            graph, target, samples, lambda sample: {"pixels": sample}, layers=LAYERS, weight_bits=bits
        )
        tensors = onnx.load(target).graph.initializer
        weights = [numpy_helper.to_array(t) for t in tensors if t.data_type == t.INT8 and len(t.dims) == 4]
        largest[bits] = max(np.abs(value.astype(int)).max() for value in weights)
        assert (run(target, pictures(4)).argmax(1) == run(graph, pictures(4)).argmax(1)).mean() >= 0.75
    assert largest[7] <= 64 < largest[8] <= 128


def test_sums_of_seven_bits_do_not_saturate(graph: Path, tmp_path: Path) -> None:
    """Of a processor without VNNI: `vpmaddubsw` adds two products of uint8 and int8 in 16 bits with saturation (Intel
    Intrinsics Guide, _mm256_maddubs_epi16). Where activations are large, 8-bit weights lose by it."""
    wrong = {}
    for bits in (7, 8):
        target = tmp_path / f"{bits}.onnx"
        quantization.convolutions_int8(graph, target, list(pictures(8)), feed, layers=LAYERS, weight_bits=bits)
        tensors = onnx.load(target).graph.initializer
        weights = [numpy_helper.to_array(t) for t in tensors if t.data_type == t.INT8 and len(t.dims) == 4]
        rows = [w.reshape(len(w), -1).astype(np.int32) for w in weights if w[0].size % 2 == 0]
        pairs = [(255 * row[:, ::2], 255 * row[:, 1::2]) for row in rows]
        wrong[bits] = sum(int((np.clip(a + b, -(2**15), 2**15 - 1) != a + b).sum()) for a, b in pairs)
        assert rows
    assert wrong[7] == 0 < wrong[8]


@pytest.mark.parametrize("method", calibration.METHODS)
@pytest.mark.parametrize("total", [17, 8])
def test_a_sample_that_is_not_finite_calibrates_nothing(graph: Path, tmp_path: Path, method: str, total: int) -> None:
    """One NaN in one picture: the ranges are those of the others."""
    x = pictures(total)
    x[3, 0, 0, 0] = math.nan
    spoiled, clean = tmp_path / "spoiled.onnx", tmp_path / "clean.onnx"
    count = quantization.convolutions_int8(graph, spoiled, list(x), feed, method, layers.POOLED, LAYERS)
    sound = list(np.delete(x, 3, axis=0))
    wanted = quantization.convolutions_int8(graph, clean, sound, feed, method, layers.POOLED, LAYERS)
    assert count == wanted == total - 1
    np.testing.assert_array_equal(run(spoiled, pictures(4)), run(clean, pictures(4)))


def test_samples_none_of_which_is_finite_are_refused(graph: Path, tmp_path: Path) -> None:
    x = np.full((8, 3, 16, 16), math.nan, np.float32)
    with pytest.raises(ModelError, match="what is given to it is not finite on each of 8 calibration samples"):
        quantization.convolutions_int8(graph, tmp_path / "int8.onnx", list(x), feed)


def test_nodes_stay_in_float_where_that_is_asked(graph: Path, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.onnx", tmp_path / "part.onnx"
    first = next(node.name for node in onnx.load(graph).graph.node if node.op_type == "Conv")
    for target, floats in ((whole, ()), (part, (first,))):
        quantization.convolutions_int8(
            graph, target, list(pictures(8)), feed, quantized=layers.POOLED, layers=LAYERS, floats=floats
        )
    names = [{node for layer in layers.in_int8(graph, target) for node in layer.nodes} for target in (whole, part)]
    assert first in names[0] and first not in names[1] and len(names[1]) > 10


@pytest.mark.parametrize("method", calibration.METHODS)
def test_kept_ranges_give_what_ranges_found_anew_give(graph: Path, tmp_path: Path, method: str) -> None:
    """Where a call differs in `floats` alone; and nothing is calibrated for it."""
    first, second = [node.name for node in onnx.load(graph).graph.node if node.op_type == "Conv"][:2]
    ranges, pixels = tmp_path / "ranges", list(pictures(8))
    ranges.mkdir()

    def int8(name: str, node: str, samples: list[Any], kept: Path | None) -> bytes:
        quantization.convolutions_int8(
            graph, tmp_path / name, samples, feed, method, layers.POOLED, LAYERS, floats=[node], ranges=kept
        )
        return (tmp_path / name).read_bytes()

    int8("first.onnx", first, pixels, ranges)
    anew = int8("anew.onnx", second, pixels, None)
    assert int8("again.onnx", second, [100 * pixels[0]], ranges) == anew


def test_a_sample_from_which_a_graph_makes_no_numbers_calibrates_nothing(tmp_path: Path) -> None:
    """A logarithm of what is negative, within the graph."""
    weight = numpy_helper.from_array(np.eye(3, dtype=np.float32)[:, :, None, None], "w")
    nodes = [
        helper.make_node("Log", ["pixels"], ["l"], name="log"),
        helper.make_node("Conv", ["l", "w"], ["y"], name="c"),
    ]
    names = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 4, 4]) for name in ("pixels", "y")]
    graph = helper.make_graph(nodes, "g", names[:1], names[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "log.onnx")
    x = np.random.default_rng(0).uniform(1, 9, (9, 3, 4, 4)).astype(np.float32)
    x[2] *= -1
    kept = calibration.sound(tmp_path / "log.onnx", list(x), feed)
    assert len(kept) == 8 and all((sample > 0).all() for sample in kept)
    with pytest.raises(ModelError, match=r"log\.onnx: what its layers give is not finite on each of 1 calibration"):
        calibration.sound(tmp_path / "log.onnx", [x[2]], feed)
