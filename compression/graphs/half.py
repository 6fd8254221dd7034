"""Part of an ONNX graph in fp16, with casts where it meets the rest.

ONNX Runtime's own converter (1.31) names two casts alike when a tensor that stays fp32 has two users, and writes a
model that does not load; for a network's trunk, whose nodes are known, the conversion is short.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

KEEP_FLOAT = {"Resize": (1, 2)}
"""Inputs that ONNX wants in fp32 whatever the type of the data."""
LARGEST = 65504.0


def halve(model: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    """Convert the nodes `names`, whose data are floating point throughout, to fp16, in place."""
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    made = {output for node in graph.node if node.name in names for output in node.output}
    given = made & {output.name for output in graph.output}
    """Outputs of the graph, which stay fp32 under their names."""
    nodes: list[onnx.NodeProto] = []
    cast: set[str] = set()
    for node in list(graph.node):  # in topological order: a cast stands before its first user
        inside = node.name in names
        for i, name in enumerate(node.input):
            if name in given:
                if inside and i not in KEEP_FLOAT.get(node.op_type, ()):
                    node.input[i] = f"{name}_fp16"
                continue
            if not name or inside == (name in made) or (inside and i in KEEP_FLOAT.get(node.op_type, ())):
                continue
            new = f"{name}_fp16" if inside else f"{name}_fp32"
            if name in weights:
                if weights[name].data_type != TensorProto.FLOAT:
                    continue
                if new not in weights:
                    values = numpy_helper.to_array(weights[name]).clip(-LARGEST, LARGEST).astype(np.float16)
                    weights[new] = numpy_helper.from_array(values, new)
            elif new not in cast:
                kind = TensorProto.FLOAT16 if inside else TensorProto.FLOAT
                nodes.append(helper.make_node("Cast", [name], [new], name=new, to=kind))
                cast.add(new)
            node.input[i] = new
        nodes.append(node)
        for i, name in enumerate(node.output):
            if name in given:
                node.output[i] = f"{name}_fp16"
                nodes.append(helper.make_node("Cast", [f"{name}_fp16"], [name], name=name, to=TensorProto.FLOAT))
    used = {name for node in nodes for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for name, tensor in weights.items() if name in used]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(copies)
    graph.initializer.extend(kept)
    return model
