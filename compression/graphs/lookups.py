"""Tables of which a graph reads rows (embeddings, positions) in int8: a quarter of their bytes in file and memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

READERS = ("Gather", "Slice")
"""Operators that take rows of a table as they are."""
SMALLEST = 1024
"""Numbers of a table below which nothing is gained."""
LARGEST = 127
"""int8 without -128: positive and negative numbers have the same steps."""


def lookups_int8(model: onnx.ModelProto) -> list[str]:
    """Replace, in place, every float32 table (rows, columns) that is only read by rows: int8 with a scale for each
    column (a column with large numbers costs the others nothing), and floats again behind the reader.

    Returns: the names of the tables.
    """
    graph = model.graph
    replaced = []
    for table in list(graph.initializer):
        readers = [node for node in graph.node if table.name in node.input]
        if not readers or not all(_rows(node, table, graph) for node in readers):
            continue
        values, scale = rounded(numpy_helper.to_array(table))
        scales = f"{table.name}_scale"
        graph.initializer.remove(table)
        graph.initializer.extend(
            [
                numpy_helper.from_array(values, table.name),
                numpy_helper.from_array(scale, scales),
            ]
        )
        for node in readers:
            output, integers = node.output[0], f"{node.output[0]}_int8"
            node.output[0] = integers
            back = helper.make_node(
                "DequantizeLinear", [integers, scales], [output], name=f"{node.name}_floats", axis=-1
            )
            graph.node.insert(list(graph.node).index(node) + 1, back)
        replaced.append(table.name)
    return replaced


def rounded(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """table: (rows, columns). Returns: int8 of that shape, and the scale of each column; their product is the table up
    to half a step of 1/127 of the largest of its column."""
    largest = np.abs(table).max(0)
    scale = np.where(largest > 0, largest, 1.0).astype(np.float32) / np.float32(LARGEST)
    return np.rint(table / scale).clip(-LARGEST, LARGEST).astype(np.int8), scale


def _rows(node: onnx.NodeProto, table: onnx.TensorProto, graph: onnx.GraphProto) -> bool:
    """Whether `node` reads rows of a large enough table of floats."""
    if table.data_type != onnx.TensorProto.FLOAT or len(table.dims) != 2 or np.prod(table.dims) < SMALLEST:
        return False
    if node.op_type not in READERS or list(node.input).count(table.name) != 1 or node.input[0] != table.name:
        return False
    return _axes(node, graph) == [0]


def _axes(node: onnx.NodeProto, graph: onnx.GraphProto) -> list[int] | None:
    """Axes along which a Gather or Slice reads; None where they are not constant."""
    if node.op_type == "Gather":
        return [next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)]
    if len(node.input) < 4 or not node.input[3]:
        return None
    constants: dict[str, Any] = {tensor.name: tensor for tensor in graph.initializer}
    axes = constants.get(node.input[3])
    return None if axes is None else [int(axis) for axis in numpy_helper.to_array(axes)]
