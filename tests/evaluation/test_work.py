"""Multiply-adds and bytes of kernels, against formulas and real profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compression.graphs import layers, quantization
from core import onnx_session
from evaluation import operators, work
from evaluation.work import Weight


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """x (batch, 4, 10, 12) -> a convolution to 16 channels, 3 x 3, two groups -> means -> a product to 5 numbers."""
    rng = np.random.default_rng(0)
    constants = {
        "kernel": rng.standard_normal((16, 2, 3, 3)).astype(np.float32),
        "matrix": rng.standard_normal((16, 5)).astype(np.float32),
        "axes": np.array([2, 3]),
    }
    made = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "kernel"], ["maps"], name="conv", group=2, pads=[1, 1, 1, 1]),
            helper.make_node("ReduceMean", ["maps", "axes"], ["means"], name="mean", keepdims=0),
            helper.make_node("MatMul", ["means", "matrix"], ["y"], name="product"),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, 10, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "g.onnx")
    return tmp_path / "g.onnx"


def costs(path: Path) -> dict[str, operators.Cost]:
    def load() -> Any:
        opened = onnx_session.session(path, threads=1)
        return lambda batch: opened.run(None, {"x": np.stack(batch)})

    picture = np.random.default_rng(1).standard_normal((4, 10, 12)).astype(np.float32)
    return operators.profile(load, [picture])


def test_of_a_real_profile_as_the_formulas_say(graph: Path) -> None:
    found = costs(graph)
    outputs, kernel = 16 * 10 * 12, 2 * 3 * 3
    (convolution,) = (cost for name, cost in found.items() if name.endswith("Conv"))
    assert convolution["macs"] == outputs * kernel
    assert convolution["bytes"] == 4 * (4 * 10 * 12 + outputs + 16 * kernel)
    (product,) = (cost for name, cost in found.items() if name in work.PRODUCTS)
    assert product["macs"] == 16 * 5
    assert product["bytes"] == 4 * (16 + 5 + 16 * 5)
    assert found["ReduceMean"]["macs"] == 0 < found["ReduceMean"]["bytes"]


def test_in_int8_as_many_multiplications_and_fewer_bytes(graph: Path, tmp_path: Path) -> None:
    target = tmp_path / "int8.onnx"
    rng = np.random.default_rng(2)
    samples = [rng.standard_normal((1, 4, 10, 12)).astype(np.float32) for _ in range(8)]
    quantization.convolutions_int8(
        graph,
        target,
        samples,
        lambda sample: {"x": sample},
        quantized=layers.POOLED,
        layers=layers.WEIGHTED,
    )
    before, after = costs(graph), costs(target)
    total = [sum(cost["macs"] for cost in found.values()) for found in (before, after)]
    assert total[0] == total[1] == 16 * 10 * 12 * 18 + 80
    assert after["QLinearConv"]["bytes"] < 0.5 * max(cost["bytes"] for cost in before.values())
    assert sum(cost["macs"] for name, cost in after.items() if work.integer(name)) == total[1]


@pytest.mark.parametrize(
    ("operator", "given", "made", "expected"),
    [
        ("MatMul", [[2, 7, 8], [8, 3]], [[2, 7, 3]], 2 * 7 * 3 * 8),
        ("DynamicQuantizeMatMul", [[1, 4, 128], [384]], [[1, 4, 384]], 4 * 128 * 384),
        ("Relu", [[2, 7]], [[2, 7]], 0),
        ("MultiHeadAttention", [[2, 3, 64], *[[2, 4, 6, 16]] * 2, [2, 6]], [[2, 3, 64]], 2 * 2 * 3 * 64 * 6),
        ("MatMul", [], [[1]], 0),
        ("Conv", [[1, 3, 8, 8]], [[1, 4, 8, 8]], 0),  # a kernel that is no constant: it is not known
        ("NonZero", [[3]], [], 0),
    ],
)
def test_multiply_adds(operator: str, given: list[list[int]], made: list[list[int]], expected: int) -> None:
    assert work.macs(operator, given, made, [Weight((5,), 20)]) == expected


def test_a_table_is_read_by_rows() -> None:
    run = {"activation_size": "32", "output_size": "2048"}
    table = [Weight((1000, 128), 512_000)]
    assert work.moved("Gather", run, table) == 2080
    assert work.moved("MatMul", run, table) == 514_080


def test_a_machine_has_a_peak() -> None:
    found = work.peak()
    assert 0.5 < found["fp32"] < 10_000 and 0.5 < found["int8"] < 40_000
