"""Parts of ONNX graphs: which nodes are computed in int8, which come before or behind them, and what they compute."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from core.onnx_session import session

LAYERS = ("Conv",)
"""Operators with weights."""
QUANTIZED = ("Conv", "Clip", "Relu", "Add")
"""Activations and sums with the convolutions: alone, each convolution would go back to float and lose by it."""
WEIGHTED = ("Conv", "Gemm", "MatMul")
POOLED = (*QUANTIZED, "MaxPool", "AveragePool", "Concat", "Gemm", "MatMul")
"""`layers` and `quantized` of a network that ends in a linear layer: all of it is computed in int8."""
FOLLOWING = ("Clip", "Relu", "MaxPool", "AveragePool")
"""Operators that are computed with what they follow."""


@dataclass(frozen=True)
class Layer:
    """Nodes that are computed in int8 together or not at all: a product, a sum or a concatenation, and what follows."""

    graph: str
    """Name of the file."""
    name: str
    """As the weights are called, where they have a name of their own; else as the node is."""
    nodes: tuple[str, ...]


def in_int8(source: Path, quantized: Path) -> list[Layer]:
    """The layers of the fp32 graph `source` that its int8 form computes in int8, in their order."""
    graph, after = onnx.load(source).graph, onnx.load(quantized).graph
    weights = {tensor.name for tensor in graph.initializer}
    in_float, left = _in_float(after), {node.name for node in after.node}
    found: list[list[onnx.NodeProto]] = []
    where: dict[str, list[onnx.NodeProto]] = {}  # tensor -> the layer that computes it
    for node in graph.node:
        follows = node.op_type in FOLLOWING and node.input[0] in where
        if node.op_type == "Add" and node.name not in left:  # a bias that has gone into its product
            where |= {output: where[name] for name in node.input if name in where for output in node.output}
            continue
        if node.op_type not in POOLED or (node.name in in_float and not follows):
            continue
        if follows:
            layer = where[node.input[0]]
        else:
            layer = []
            found.append(layer)
        layer.append(node)
        where |= dict.fromkeys(node.output, layer)
    return [Layer(source.name, _name(nodes[0], weights), tuple(node.name for node in nodes)) for nodes in found]


def _in_float(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes that a graph with quantize-dequantize pairs computes in float: products whose weights are no
    integers, and others that do not stand between two pairs."""
    restored = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    rounded = {node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    constants = {tensor.name for tensor in graph.initializer}
    found = set()
    for node in graph.node:
        if node.op_type in WEIGHTED:
            between = bool(restored.intersection(node.input[1:]))
        else:
            inner = [name for name in node.input if name and name not in constants]
            between = restored.issuperset(inner) and not rounded.isdisjoint(node.output)
        if not between:
            found.add(node.name)
    return found


def _name(node: onnx.NodeProto, weights: Collection[str]) -> str:
    named = [name for name in node.input if name in weights and not re.fullmatch(r"val_\d+", name)]  # the exporter's
    return named[0].removesuffix(".weight") if named else node.name


def after_layers(graph: onnx.GraphProto, layers: Collection[str] = LAYERS) -> list[str]:
    """Names of the nodes that none of `layers`, operators, comes after."""
    return _after(graph, lambda node: node.op_type in layers)


def between_layers(graph: onnx.GraphProto, layers: Collection[str] = LAYERS) -> set[str]:
    """Names of `layers` and of what lies between them: all but normalisation of the inputs, sizes and what follows."""
    reached: set[str] = set()  # tensors that come from a layer
    names = set()
    for node in graph.node:
        if node.op_type in layers or reached.intersection(node.input):
            reached.update(node.output)
            names.add(node.name)
    return names - set(after_layers(graph, layers))


def behind(graph: onnx.GraphProto, nodes: Collection[str]) -> list[str]:
    """The tensors in which a graph goes on from `nodes`, given by name: what the first nodes behind them compute, and
    those of its outputs that they give themselves. They are called the same in the int8 graph."""
    outputs = {output.name for output in graph.output}
    after = set(_after(graph, lambda node: node.name in nodes))
    reached: set[str] = set()  # tensors that come from `nodes`, up to where they end
    found: dict[str, None] = {}
    for node in graph.node:
        if node.name in after:
            if reached.intersection(node.input):
                found |= dict.fromkeys(filter(None, node.output))
        elif node.name in nodes or reached.intersection(node.input):
            reached.update(node.output)
            found |= dict.fromkeys(outputs.intersection(node.output))
    return list(found)


def _after(graph: onnx.GraphProto, chosen: Any) -> list[str]:
    """Names of the nodes that no chosen one comes after."""
    reached: set[str] = set()  # tensors from which a chosen node is reached
    others = []
    for node in reversed(graph.node):  # ONNX nodes stand in topological order
        if not chosen(node) and not reached.intersection(node.output):
            others.append(node.name)
            continue
        reached.update(node.input)
    return others[::-1]


def values(
    path: Path, feeds: Iterable[dict[str, NDArray[Any]]], tensors: Collection[str] | None = None
) -> Iterator[dict[str, NDArray[Any]]]:
    """What a graph computes inside, of one set of inputs after the other.

    tensors: their names; None: inputs and outputs of all layers with weights. What is no tensor of floats is left out.
    """
    model = onnx.load(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    if tensors is None:
        layers = [node for node in model.graph.node if node.op_type in WEIGHTED]
        tensors = dict.fromkeys(name for node in layers for name in (*node.input, *node.output) if name not in weights)
    given = {value.name for value in model.graph.input}
    known = {value.name for value in model.graph.output}
    wanted = [name for name in tensors if name not in given]
    if not wanted:  # of no name ONNX Runtime computes all
        yield from ({name: feed[name] for name in tensors} for feed in feeds)
        return
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known)
    with tempfile.TemporaryDirectory() as aside:
        opened = Path(aside) / path.name
        onnx.save(model, opened)
        running = session(opened)
    for feed in feeds:
        computed = zip(wanted, running.run(wanted, feed), strict=True)
        found = {name: feed[name] for name in tensors if name in given} | dict(computed)
        yield {name: value for name, value in found.items() if np.issubdtype(value.dtype, np.floating)}
