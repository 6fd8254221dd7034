"""Faults planted in ONNX graphs that change nothing in fp32 and ruin int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

FAR = 1000.0


def outlier_channel(path: Path) -> str:
    """One channel between two convolutions reaches `FAR` times as far: the first makes it larger, the second smaller.

    Returns: the name of the first convolution's weight.
    """
    model = onnx.load(path)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for first in model.graph.node:
        if first.op_type != "Conv":
            continue
        readers = reading(model, first.output[0])
        if [node.op_type for node in readers] != ["Relu"]:
            continue
        second = reading(model, readers[0].output[0])
        if not second or any(node.op_type != "Conv" or _attribute(node, "group") != 1 for node in second):
            continue
        for name in first.input[1:]:
            values = numpy_helper.to_array(tensors[name]).copy()
            values[0] *= FAR
            tensors[name].CopyFrom(numpy_helper.from_array(values, name))
        for name in {node.input[1] for node in second}:
            values = numpy_helper.to_array(tensors[name]).copy()
            values[:, 0] /= FAR
            tensors[name].CopyFrom(numpy_helper.from_array(values, name))
        onnx.save(model, path)
        return str(first.input[1])
    raise AssertionError(f"{path}: no convolution, Relu and convolution behind each other")


def one_scale(path: Path, widths: dict[str, int]) -> None:
    """Tensors (images, rows, columns) go through one convolution that does nothing, as columns beside each other.

    widths: name -> columns, of boxes in pixels and of scores.
    """
    model = onnx.load(path)
    total = sum(widths.values())
    weight = numpy_helper.from_array(np.eye(total, dtype=np.float32)[:, :, None], "planted.weight")
    sizes = numpy_helper.from_array(np.array(list(widths.values()), np.int64), "planted.sizes")
    model.graph.initializer.extend([weight, sizes])
    for name in widths:
        for node in reading(model, name):
            for index, read in enumerate(node.input):
                if read == name:
                    node.input[index] = f"{name}_planted"
    planted = [
        helper.make_node("Concat", list(widths), ["planted_both"], name="planted_concat", axis=2),
        helper.make_node("Transpose", ["planted_both"], ["planted_turned"], name="planted_turn", perm=[0, 2, 1]),
        helper.make_node("Conv", ["planted_turned", "planted.weight"], ["planted_same"], name="planted_conv"),
        helper.make_node("Transpose", ["planted_same"], ["planted_back"], name="planted_turn_back", perm=[0, 2, 1]),
        helper.make_node(
            "Split", ["planted_back", "planted.sizes"], [f"{name}_planted" for name in widths], "planted_split", axis=2
        ),
    ]
    last = max(i for i, node in enumerate(model.graph.node) if set(widths) & set(node.output))
    for offset, node in enumerate(planted, start=1):
        model.graph.node.insert(last + offset, node)
    onnx.save(model, path)


def huge_row(path: Path, ending: str) -> str:
    """The first row of a matrix is the same huge number in each column, so that what is multiplied ranks as before.

    Returns: the matrix' name.
    """
    model = onnx.load(path)
    matrix = next(tensor for tensor in model.graph.initializer if tensor.name.endswith(ending))
    values = numpy_helper.to_array(matrix).copy()
    values[0] = 1e4
    matrix.CopyFrom(numpy_helper.from_array(values, matrix.name))
    onnx.save(model, path)
    return str(matrix.name)


def reading(model: onnx.ModelProto, tensor: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if tensor in node.input]


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), 1)
