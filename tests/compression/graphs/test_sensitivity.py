"""How loud a layer is in int8, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compression.graphs import sensitivity
from compression.graphs.layers import Layer


def test_noise_is_relative_to_the_signal() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 3, (2000, 4))
    noisy = signal + rng.normal(0, 0.3, signal.shape)
    assert sensitivity.noise({"y": signal}, {"y": noisy}) == pytest.approx(0.01, rel=0.1)
    assert sensitivity.noise({"y": signal}, {"y": signal}) == 0
    assert sensitivity.noise({"y": signal}, {"y": np.full_like(signal, np.nan)}) == 1
    assert sensitivity.noise({"y": signal, "z": signal}, {"y": signal, "z": -signal}) == 0.5, (
        "1 at most, of two tensors"
    )


@pytest.mark.parametrize("axis", [1, 2])
def test_a_small_slice_that_is_erased_counts(axis: int) -> None:
    """Scores beside boxes: their power is a millionth of the whole."""
    values = np.random.default_rng(0).normal(size=(8, 6, 6)) * 1000
    small = [slice(None)] * 3
    small[axis] = slice(3)
    values[tuple(small)] /= 1e6
    erased = values.copy()
    erased[tuple(small)] = 0
    assert sensitivity.noise({"y": values}, {"y": erased}) == pytest.approx(0.5, abs=0.05)


@pytest.fixture
def convolution(tmp_path: Path) -> Path:
    weight = numpy_helper.from_array(np.ones((2, 8, 1, 1), np.float32), "head.weight")
    node = helper.make_node("Conv", ["x", "head.weight"], ["y"], name="conv")
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", c, 4, 4]) for n, c in (("x", 8), ("y", 2))]
    graph = helper.make_graph([node], "g", values[:1], values[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "convolution.onnx")
    return tmp_path / "convolution.onnx"


def test_why_names_the_channel_that_dwarfs_the_others(convolution: Path) -> None:
    layer = Layer("convolution.onnx", "head", ("conv",))
    x = np.random.default_rng(0).normal(size=(2, 8, 4, 4)).astype(np.float32)
    assert "256 steps" in sensitivity.why(convolution, layer, [{"x": x}])
    x[:, 5] *= 1000
    told = sensitivity.why(convolution, layer, [{"x": x}])
    assert told == "7 of 8 channels of its input reach less than 1/16 as far as channel 5 and share its scale"
    x[:, 2] = 0
    assert sensitivity.why(convolution, layer, [{"x": x}]).startswith("6 of 7"), "what is nothing needs no steps"


def test_why_looks_at_weights(convolution: Path) -> None:
    model = onnx.load(convolution)
    weights = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights[:, 1] = 1e4
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "head.weight"))
    onnx.save(model, convolution)
    layer, x = Layer("convolution.onnx", "head", ("conv",)), np.ones((1, 8, 4, 4), np.float32)
    assert "of its weights reach less than 1/16 as far as channel 1" in sensitivity.why(convolution, layer, [{"x": x}])
