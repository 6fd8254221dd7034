"""Matrix products by weights in int8, each one node: `com.microsoft.MatMulIntegerToFloat`
(https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md), integers in, floats out, bias and all.

What one row gives depends on no other row, so what a sentence gets does not depend on what shares its batch: scales of
activations are fixed, from calibration, or each row has its own, found at run time. (ONNX's DynamicQuantizeLinear has
one for all rows.) Results stay floats: logits in 8 bits would rank words by chance.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

DOMAIN = "com.microsoft"
Range = tuple[float, float]
"""Smallest and largest number of a tensor, 0 among them."""
MIDDLE = 128
"""Zero point of rows with scales of their own, whose largest is `REACH` steps away from it."""
REACH = 127
SMALLEST = 1e-12
"""Scale of a row of zeros."""


def products(graph: onnx.GraphProto, floats: Collection[str] = ()) -> list[onnx.NodeProto]:
    """Products of an activation and a matrix of constants, without those named `floats`."""
    weights = {
        tensor.name for tensor in graph.initializer if len(tensor.dims) == 2 and tensor.data_type == tensor.FLOAT
    }
    return [
        node for node in graph.node if node.op_type == "MatMul" and node.input[1] in weights and node.name not in floats
    ]


def split_sums(graph: onnx.GraphProto) -> None:
    """Make each Gemm by a matrix of constants a product, which keeps its name, and a sum, in place."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        told = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        plain = not told.get("transA") and told.get("alpha", 1.0) == told.get("beta", 1.0) == 1.0
        if node.op_type != "Gemm" or not plain or len(node.input) < 3 or node.input[1] not in constants:
            continue
        x, weight, bias = node.input
        if told.get("transB"):
            turned = np.ascontiguousarray(numpy_helper.to_array(constants[weight]).T)
            weight = f"{weight}_turned"
            if weight not in constants:
                constants[weight] = numpy_helper.from_array(turned, weight)
                graph.initializer.append(constants[weight])
        product = helper.make_node("MatMul", [x, weight], [f"{node.output[0]}_product"], name=node.name)
        total = helper.make_node("Add", [product.output[0], bias], [node.output[0]], name=f"{node.name}_sum")
        place = list(graph.node).index(node)
        graph.node.remove(node)
        graph.node.insert(place, total)
        graph.node.insert(place, product)


def integers(
    model: onnx.ModelProto,
    scales: Literal["column", "tensor"],
    weight_bits: Literal[7, 8],
    floats: Collection[str],
    ranges: Mapping[str, Range] | None,
) -> None:
    """Compute them in int8, in place. scales: of the weights; ranges: of each product's input; None: a scale a row."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    chosen = {node.output[0]: node for node in products(graph, floats)}
    biases = _biases(graph, chosen, constants)
    absorbed = {id(add) for add in biases.values()}
    made: dict[str, NDArray[np.generic]] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if id(node) in absorbed:
            continue
        if node.output[0] not in chosen:
            nodes.append(node)
            continue
        x, weight = node.input
        add = biases.get(node.output[0])
        output, bias = (add.output[0], _other(add, node.output[0])) if add else (node.output[0], "")
        if f"{weight}_int8" not in made:
            values, scale = rounded(numpy_helper.to_array(constants[weight]), scales, weight_bits)
            made |= {f"{weight}_int8": values, f"{weight}_scale": scale}
        w, w_scale = f"{weight}_int8", f"{weight}_scale"
        ready = {name for each in nodes for name in each.output}
        if ranges is not None:
            if f"{x}_uint8" not in ready:
                nodes.append(_quantized(x, ranges[x], made))
            given = [f"{x}_uint8", w, f"{x}_scale", w_scale, f"{x}_zero", "", bias]
            nodes.append(_node("MatMulIntegerToFloat", given, output, node.name))
            continue
        if f"{x}_uint8" not in ready:
            nodes += _rows(x, made)
        given = [f"{x}_uint8", w, "rows_one", w_scale, "rows_zero"]
        nodes.append(_node("MatMulIntegerToFloat", given, f"{output}_scaled", node.name))
        whole = f"{output}_unbiased" if bias else output
        nodes.append(helper.make_node("Mul", [f"{output}_scaled", f"{x}_scale"], [whole], name=f"{node.name}_rows"))
        if bias:
            nodes.append(helper.make_node("Add", [whole, bias], [output], name=f"{node.name}_bias"))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(values), name) for name, values in made.items())
    if DOMAIN not in {opset.domain for opset in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def rounded(
    weight: NDArray[np.float32], scales: Literal["column", "tensor"], bits: Literal[7, 8]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """weight: (rows, columns). Returns: int8 of that shape, and the scale of each column or of all; their product is
    the weight up to half a step."""
    most = 2 ** (bits - 1) - 1
    largest = np.abs(weight).max(0 if scales == "column" else None)
    scale = (np.where(largest > 0, largest, 1.0) / most).astype(np.float32)
    return np.rint(weight / scale).clip(-most, most).astype(np.int8), scale


def _biases(
    graph: onnx.GraphProto, chosen: Mapping[str, onnx.NodeProto], constants: Mapping[str, onnx.TensorProto]
) -> dict[str, onnx.NodeProto]:
    """A product's output -> the sum with a vector of constants, one for each column, that alone reads it."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {output.name for output in graph.output}
    found = {}
    for name in chosen:
        several = readers.get(name, [])
        if len(several) == 1 and several[0].op_type == "Add" and name not in outputs:
            bias = constants.get(_other(several[0], name))
            if bias is not None and list(bias.dims) == list(constants[chosen[name].input[1]].dims[1:]):
                found[name] = several[0]
    return found


def _other(add: onnx.NodeProto, name: str) -> str:
    return str(add.input[1] if add.input[0] == name else add.input[0])


def _quantized(x: str, reach: Range, made: dict[str, NDArray[np.generic]]) -> onnx.NodeProto:
    """With the fixed scale of a range."""
    low, high = reach
    scale = np.float32((high - low) / 255 or 1.0)
    made |= {f"{x}_scale": np.array(scale), f"{x}_zero": np.array(np.rint(-low / scale).clip(0, 255), np.uint8)}
    names = [x, f"{x}_scale", f"{x}_zero"]
    return helper.make_node("QuantizeLinear", names, [f"{x}_uint8"], name=f"{x}_quantize")


def _rows(x: str, made: dict[str, NDArray[np.generic]]) -> list[onnx.NodeProto]:
    """With a scale for each row, which is found at run time."""
    made |= {
        "rows_one": np.array(1, np.float32),
        "rows_zero": np.array(MIDDLE, np.uint8),
        "rows_axis": np.array([-1], np.int64),
        "rows_step": np.array(1 / REACH, np.float32),
        "rows_smallest": np.array(SMALLEST, np.float32),
    }
    steps: list[tuple[str, list[str], str]] = [
        ("Abs", [x], f"{x}_absolute"),
        ("ReduceMax", [f"{x}_absolute", "rows_axis"], f"{x}_largest"),
        ("Mul", [f"{x}_largest", "rows_step"], f"{x}_step"),
        ("Max", [f"{x}_step", "rows_smallest"], f"{x}_scale"),
        ("Div", [x, f"{x}_scale"], f"{x}_steps"),
        ("QuantizeLinear", [f"{x}_steps", "rows_one", "rows_zero"], f"{x}_uint8"),
    ]
    return [helper.make_node(kind, given, [output], name=f"{output}_rows") for kind, given, output in steps]


def _node(kind: str, given: list[str], output: str, name: str) -> onnx.NodeProto:
    while not given[-1]:
        given.pop()
    return helper.make_node(kind, given, [output], name=f"{name}_int8", domain=DOMAIN)
