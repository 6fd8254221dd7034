"""Places of ONNX graphs where channels lie between layers that make them and layers that read them, and are of no other
use.

There a channel may be divided by a positive number where it is made and multiplied by it where it is read. That is
exact where nothing or a positively homogeneous function lies between: ReLU, but not ReLU6, SiLU, hard-swish or GELU.
Shape: `C` channels of a place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import onnx

MADE = {"Conv": 0, "MatMul": 1, "LayerNormalization": 0}
"""Operators that make channels -> the axis of these in their weights."""
HOMOGENEOUS = {
    "Conv": ("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool"),
    "MatMul": ("Relu", "LeakyRelu"),
}
"""Operators that read channels -> what may lie before them: f(s x) = s f(x) for s > 0, of each channel by itself."""


@dataclass
class Joint:
    """Channels between layers; layers that make or read by the same weights are in one."""

    made: dict[str, int] = field(default_factory=dict)
    """Constants by which they are made, with their axis of C: weights, biases, scales; weights come first."""
    makers: list[onnx.NodeProto] = field(default_factory=list)
    between: list[str] = field(default_factory=list)
    """All tensors that hold them."""
    readers: list[onnx.NodeProto] = field(default_factory=list)
    """Their first input are the channels, their second one weights."""

    @property
    def convolutional(self) -> bool:
        """Whether C is the second axis of tensors, not the last."""
        return self.readers[0].op_type == "Conv"

    @property
    def read(self) -> list[str]:
        """Tensors that are read."""
        return list(dict.fromkeys(node.input[0] for node in self.readers))

    @property
    def weights(self) -> dict[str, onnx.NodeProto]:
        """Constants by which they are read, with a node that does."""
        return {node.input[1]: node for node in self.readers}


class Search:
    """For the joints of a graph."""

    def __init__(self, graph: onnx.GraphProto):
        self.nodes = graph.node
        self.constants = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        self.reading: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        self.maker = {name: node for node in graph.node for name in node.output}
        self.fixed = {output.name for output in graph.output}
        """Tensors that somebody else reads."""
        for node in graph.node:
            for name in node.input:
                self.reading[name].append(node)
            self.fixed.update(_inside(node))

    def joints(self) -> Iterator[Joint]:
        """In the order of their first nodes."""
        done: set[str] = set()
        for node in self.nodes:
            if node.op_type not in MADE or node.input[1] not in self.constants or node.input[1] in done:
                continue
            joint = self._joint(node.input[1])
            if joint is not None:
                done.update(joint.made)
                yield joint

    def _joint(self, weight: str) -> Joint | None:
        """Of the channels that are made by `weight`, with all that must be scaled along with them."""
        joint, pending = Joint(), [weight]
        while pending:
            weight = pending.pop()
            if weight in joint.made:
                continue
            if not all(self._making(node, weight, joint) for node in self.reading[weight]) or not self._reading(joint):
                return None
            # Layers that read by the same weights as these (a detector's head, at every level) multiply likewise.
            readers = [node for name in joint.weights for node in self.reading[name] if node not in joint.readers]
            origins = [self._origin(node) for node in readers]
            if None in origins:
                return None
            pending.extend(origin for origin in origins if origin)
        return joint if joint.readers and self._private(joint) and self._fitting(joint) else None

    def _origin(self, reader: onnx.NodeProto) -> str | None:
        """By which weights the channels are made that a node reads; None where it is not told."""
        node = self.maker.get(reader.input[0])
        while node is not None:
            if node.op_type in MADE:
                return str(node.input[1]) if node.input[1] in self.constants else None
            inner = [name for name in node.input if name not in self.constants]
            node = self.maker.get(inner[0]) if len(inner) == 1 else None
        return None

    def _making(self, node: onnx.NodeProto, weight: str, joint: Joint) -> bool:
        """Add a node that makes channels by `weight`, and the sum with a bias behind it; whether it is such a node."""
        if node.op_type not in MADE or node.input[1] != weight or node.input[0] in self.constants:
            return False
        joint.made |= {weight: MADE[node.op_type]} | dict.fromkeys(filter(None, node.input[2:]), 0)
        joint.makers.append(node)
        joint.between.append(node.output[0])
        following = self.reading[node.output[0]]
        if node.op_type == "MatMul" and [each.op_type for each in following] == ["Add"]:
            biases = [name for name in following[0].input if self.constants.get(name) == self.constants[weight][1:]]
            if biases:
                joint.made[biases[0]] = 0
                joint.makers.append(following[0])
                joint.between.append(following[0].output[0])
        return len({each.op_type == "Conv" for each in joint.makers}) == 1

    def _private(self, joint: Joint) -> bool:
        """Whether nothing but its makers uses what they are made by."""
        return all(
            name in self.constants and all(node in joint.makers for node in self.reading[name]) for name in joint.made
        )

    def _reading(self, joint: Joint) -> bool:
        """Add what reads the channels; whether all of it does nothing else with them."""
        reader = "Conv" if joint.makers[0].op_type == "Conv" else "MatMul"
        joint.readers = []
        for name in joint.between:  # which grows meanwhile
            if name in self.fixed or not self.reading[name]:
                return False
            for node in self.reading[name]:
                if node in joint.makers:
                    continue
                if node.op_type in HOMOGENEOUS[reader] and len(node.output) == 1:
                    joint.between.extend(each for each in node.output if each not in joint.between)
                elif node.op_type == reader and node.input[0] == name and node.input[1] in self.constants:
                    joint.readers.append(node)
                else:
                    return False
        return True

    def _fitting(self, joint: Joint) -> bool:
        """Whether all weights are of as many channels."""
        made = {self.constants[name][axis] for name, axis in joint.made.items()}
        return len(made | {read_by(self.constants[name], node) for name, node in joint.weights.items()}) == 1


def groups(node: onnx.NodeProto) -> int:
    """Of a convolution's channels."""
    return next((each.i for each in node.attribute if each.name == "group"), 1)


def read_by(dims: Sequence[int], node: onnx.NodeProto) -> int:
    """How many channels a node reads by weights of these dimensions."""
    return dims[1] * groups(node) if node.op_type == "Conv" else dims[0]


def _inside(node: onnx.NodeProto) -> Iterator[str]:
    """What the branches of a node read."""
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from inner.input
                yield from _inside(inner)
