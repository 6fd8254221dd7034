"""What a kernel computes and moves, from what ONNX Runtime's profile says of its run and the graph that was run; and
what this machine can do at most, to set it against."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from core import onnx_session

PRODUCTS = (
    *("MatMul", "FusedMatMul", "Gemm", "FusedGemm"),
    *("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul", "QGemm"),
)
ATTENTION, MASK = "MultiHeadAttention", 3
"""Two batches of products, and which of its inputs has the keys as its last axis."""
INTEGER = ("QLinear", "QGemm", "MatMulInteger", "DynamicQuantizeMatMul")
"""How the names of operators begin that compute with 8 bits."""
ROWS = ("Gather", "Slice")
"""Of a table they read no more than they give."""
SIDE, CALLS = 512, 20
"""Of the square matrices whose product tells the peak, and how often it is computed."""


class Weight(NamedTuple):
    shape: tuple[int, ...]
    bytes: int


def weights(graph: Path) -> dict[str, list[Weight]]:
    """Constants that each node of an optimised graph reads, by its name."""
    graphs = list(_graphs(onnx.load(graph).graph))
    sizes = {}
    for tensor in (tensor for each in graphs for tensor in each.initializer):
        each = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        sizes[tensor.name] = Weight(tuple(tensor.dims), math.prod(tensor.dims) * each)
    nodes = (node for each in graphs for node in each.node)
    return {node.name: [sizes[name] for name in node.input if name in sizes] for node in nodes}


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """It, and those that its nodes hold: what a loop repeats."""
    yield graph
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield from _graphs(attribute.g)


def macs(operator: str, given: Sequence[Sequence[int]], made: Sequence[Sequence[int]], own: Sequence[Weight]) -> int:
    """Multiply-adds of a convolution, a product or attention, 0 of anything else.

    given, made: shapes of inputs and outputs, of which weights that were packed before are left out; own: `weights`.
    """
    if not made:
        return 0
    outputs = math.prod(made[0])
    if operator.endswith("Conv"):
        shape = kernel(own)
        return outputs * math.prod(shape[1:]) if shape else 0
    if operator == ATTENTION:
        return 2 * outputs * given[MASK][-1] if len(given) > MASK and given[MASK] else 0
    return outputs * given[0][-1] if operator in PRODUCTS and given and given[0] else 0


def kernel(own: Sequence[Weight]) -> tuple[int, ...] | None:
    """Shape of a convolution's weights among the constants of a node."""
    return next((weight.shape for weight in own if len(weight.shape) > 2), None)


def packed(own: Sequence[Weight]) -> bool:
    """Whether a product is one with a matrix of weights, which ONNX Runtime lays out for it ahead."""
    return any(len(weight.shape) == 2 for weight in own)


def moved(operator: str, arguments: Mapping[str, Any], own: Sequence[Weight]) -> int:
    """Bytes that a run reads and writes; constants count each time. arguments: of the profile's event."""
    constants = 0 if operator in ROWS else sum(weight.bytes for weight in own)
    return int(arguments["activation_size"]) + int(arguments["output_size"]) + constants


def integer(operator: str) -> bool:
    return operator.startswith(INTEGER)


def peak() -> dict[str, float]:
    """10^9 multiplications and additions a second that one thread reaches in a large product, fp32 and int8: the best
    of some calls, since the machine can do no more than it once did."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
    w = rng.integers(-127, 127, (SIDE, SIDE)).astype(np.int8)
    return {
        "fp32": _fastest("MatMul", x.astype(np.float32), w.astype(np.float32), TensorProto.FLOAT),
        "int8": _fastest("MatMulInteger", x, w, TensorProto.INT32),
    }


def _fastest(operator: str, x: np.ndarray, w: np.ndarray, result: int) -> float:
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "w"], ["y"])],
        "peak",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info("y", result, [SIDE, SIDE])],
        [numpy_helper.from_array(w, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=onnx_session.IR_VERSION)
    with tempfile.TemporaryDirectory(prefix="stillhouse-") as scratch:
        path = Path(scratch) / "peak.onnx"
        onnx.save(model, path)
        opened = onnx_session.session(path, threads=1)
    taken = []
    for _ in range(CALLS):
        start = time.perf_counter()
        opened.run(None, {"x": x})
        taken.append(time.perf_counter() - start)
    return 2 * SIDE**3 / min(taken) / 1e9
