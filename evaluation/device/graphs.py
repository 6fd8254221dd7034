"""Small graphs of one kind of kernel, some of it in a row: what two lengths differ by is what a kernel takes, without
the call, the copies in and out, and the change of layout at both ends. Written byte by byte: a device has no onnx.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from core import kinds
from core.onnx_session import IR_VERSION
from core.onnx_wire import (
    INITIALIZER,
    INPUT,
    IR,
    MICROSOFT,
    MODEL_GRAPH,
    NAME,
    NODE,
    OPSETS,
    OUTPUT,
    node,
    tensor,
    value,
)
from core.protobuf import message, number

OPSET = 18
SCALE, ZERO = np.float32(0.05), np.uint8(128)


class Size(NamedTuple):
    """Of a kernel whose input and output are alike."""

    channels: int
    """Of maps, or the width of a row: of a product, its inputs and its outputs."""
    rows: int
    """Pixels on each side of a map, or the number of rows."""
    batch: int = 1
    """Products at once."""


class Cost(NamedTuple):
    """Of one kernel; bytes read and written, weights with it."""

    macs: int
    bytes: int


class Graph:
    """Nodes in a row, each with what the one before it gives."""

    def __init__(self, shape: tuple[int, ...], kind: str):
        self.shape, self.kind, self.last = shape, kind, "x"
        self.nodes, self.constants = b"", b""
        self.known: set[str] = set()

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        if name not in self.known:
            self.known.add(name)
            self.constants += message(INITIALIZER, tensor(name, value))
        return name

    def node(self, operator: str, inputs: list[str], domain: str = "", **attributes: Any) -> None:
        """inputs: names; "" is what the node before gave."""
        output = f"y{len(self.nodes)}"
        self.nodes += message(
            NODE, node(operator, [name or self.last for name in inputs], [output], domain, attributes)
        )
        self.last = output

    def content(self) -> bytes:
        # The first size is open, as in what is exported: where it is known, memory is planned ahead.
        shape: list[int | str] = ["n", *self.shape[1:]]
        graph = self.nodes + message(NAME, "row") + self.constants
        graph += message(INPUT, value("x", self.kind, shape)) + message(OUTPUT, value(self.last, self.kind, shape))
        imports = message(OPSETS, message(1, "") + number(2, OPSET))
        imports += message(OPSETS, message(1, MICROSOFT) + number(2, 1))
        return number(IR, IR_VERSION) + message(MODEL_GRAPH, graph) + imports


def make(kind: str, size: Size, length: int) -> tuple[bytes, np.ndarray, Cost]:
    """A graph of `length` kernels of a kind, its input `x`, and what one of them computes and moves."""
    rng = np.random.default_rng(0)
    integer = kind.endswith(kinds.INT8)
    name = kind.removesuffix(kinds.INT8)
    maps = name in kinds.CONVOLUTIONS
    shape: tuple[int, ...] = (1, size.channels, size.rows, size.rows) if maps else (size.rows, size.channels)
    if name == kinds.BATCHED:
        shape = (size.batch, *shape)
    moving = integer and name != "product"  # products take floats and give them: their input is rounded as they run
    x = rng.integers(0, 255, shape).astype(np.uint8) if moving else rng.standard_normal(shape).astype(np.float32)
    graph = Graph(shape, x.dtype.name)
    add = _MAKERS[name]
    weights = [add(graph, rng, size, integer, i) for i in range(length)]
    cost = Cost(x.size * weights[0][0], 2 * x.nbytes + weights[0][1])
    return graph.content(), x, cost


def mixed(rows: int, width: int) -> tuple[bytes, np.ndarray, list[tuple[str, Cost]]]:
    """A graph of one small kernel of each kind that decoders have, its input, and their kinds and costs."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, width)).astype(np.float32)
    graph = Graph(x.shape, "float32")
    for name, numbers in (
        ("first", [0]),
        ("last", [width]),
        ("axis", [1]),
        ("folded", [1, -1, width]),
        ("flat", [-1, width]),
    ):
        graph.constant(name, np.array(numbers, np.int64))
    graph.constant("two", np.float32(2))
    graph.constant("rows", np.arange(rows, dtype=np.int64))
    graph.constant("other", x[::-1].copy())
    graph.constant("w", rng.standard_normal((width, width)).astype(np.float32) / np.float32(np.sqrt(width)))
    graph.node("MatMul", ["", "w"])
    graph.node("Add", ["", "other"])
    graph.node("Tanh", [""])
    graph.node("Concat", ["", "other"], axis=1)
    graph.node("Slice", ["", "first", "last", "axis"])
    graph.node("Softmax", [""], axis=-1)
    graph.node("Reshape", ["", "folded"])
    graph.node("Mul", ["", "two"])
    graph.node("Reshape", ["", "flat"])
    graph.node("Gather", ["", "rows"], axis=0)
    graph.node("Sub", ["other", ""])
    one = x.nbytes
    row = [("product", Cost(x.size * width, 2 * one + 4 * width**2)), *[("elementwise", Cost(0, 3 * one))] * 2]
    row += [*[("function", Cost(0, 2 * one))] * 2, ("elementwise", Cost(0, 2 * one)), ("move", Cost(0, 4 * one))]
    row += [("move", Cost(0, 3 * one)), *[("move", Cost(0, 2 * one))] * 3]
    return graph.content(), x, row


def _convolution(kernel: int, each: bool, *given: Any) -> tuple[int, int]:
    """kernel: pixels on a side; each: whether each channel is alone; given: as other makers."""
    graph, rng, size, integer, i = given
    inputs, padding = 1 if each else size.channels, kernel // 2
    shape = (size.channels, inputs, kernel, kernel)
    how: dict[str, Any] = {"kernel_shape": [kernel] * 2, "pads": [padding] * 4, "group": size.channels if each else 1}
    if not integer:
        w = rng.standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(inputs * kernel**2))
        graph.node("Conv", ["", graph.constant(f"w{i}", w)], **how)
        return inputs * kernel**2, w.nbytes
    w = rng.integers(-127, 127, shape).astype(np.int8)
    scale, zero = graph.constant("s", SCALE), graph.constant("z", ZERO)
    own = [graph.constant(f"w{i}", w), graph.constant("ws", np.full(size.channels, 0.002, np.float32))]
    graph.node(
        "QLinearConv",
        ["", scale, zero, *own, graph.constant("wz", np.zeros(size.channels, np.int8)), scale, zero],
        **how,
    )
    return inputs * kernel**2, w.nbytes


def _product(graph: Graph, rng: np.random.Generator, size: Size, integer: bool, i: int) -> tuple[int, int]:
    shape = (size.channels, size.channels)
    if not integer:
        w = rng.standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(size.channels))
        graph.node("MatMul", ["", graph.constant(f"w{i}", w)])
        return size.channels, w.nbytes
    w = rng.integers(-127, 127, shape).astype(np.int8)
    own = [graph.constant(f"w{i}", w), graph.constant("ws", np.float32(0.001)), graph.constant("wz", np.int8(0))]
    graph.node("DynamicQuantizeMatMul", ["", *own], MICROSOFT)
    return size.channels, w.nbytes


def _batched(graph: Graph, rng: np.random.Generator, size: Size, integer: bool, i: int) -> tuple[int, int]:
    other = rng.standard_normal((size.batch, size.channels, size.channels)).astype(np.float32)
    graph.node("MatMul", ["", graph.constant("o", other / np.float32(np.sqrt(size.channels)))])
    return size.channels, other.nbytes


def _elementwise(graph: Graph, rng: np.random.Generator, size: Size, integer: bool, i: int) -> tuple[int, int]:
    if not integer:
        other = rng.standard_normal((size.rows, size.channels)).astype(np.float32)
        graph.node("Add", ["", graph.constant("o", other)])
        return 0, other.nbytes
    other = rng.integers(0, 255, (size.rows, size.channels)).astype(np.uint8)
    scale, zero = graph.constant("s", SCALE), graph.constant("z", ZERO)
    graph.node("QLinearAdd", ["", scale, zero, graph.constant("o", other), scale, zero, scale, zero], MICROSOFT)
    return 0, other.nbytes


def _function(graph: Graph, rng: np.random.Generator, size: Size, integer: bool, i: int) -> tuple[int, int]:
    graph.node("Sigmoid" if i % 2 else "Tanh", [""])
    return 0, 0


def _move(graph: Graph, rng: np.random.Generator, size: Size, integer: bool, i: int) -> tuple[int, int]:
    graph.node("Gather", ["", graph.constant("i", rng.permutation(size.rows).astype(np.int64))], axis=0)
    return 0, 0


_MAKERS: dict[str, Callable[..., tuple[int, int]]] = {
    "conv": partial(_convolution, 3, False),
    "pointwise": partial(_convolution, 1, False),
    "depthwise": partial(_convolution, 3, True),
    "product": _product,
    kinds.BATCHED: _batched,
    "elementwise": _elementwise,
    "function": _function,
    "move": _move,
}
"""Each adds node `i` to a graph; returns multiply-adds of an output, and bytes of the weights."""
