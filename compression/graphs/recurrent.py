"""Weights of GRU and LSTM layers in int8, which the runtime makes floats of as it opens the graph: a quarter of the
file, and computed as before. (ONNX Runtime 1.31 has an int8 kernel of LSTM, none of GRU.)"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from core.onnx_session import IR_VERSION

KINDS = ("GRU", "LSTM")


def recurrent_int8(path: Path, floats: tuple[str, ...] = ()) -> int:
    """Store the input and recurrent weights of each layer as int8 with a scale for each row of a gate, in place.

    floats: names of nodes that stay as they are. Returns: how many layers changed.
    """
    model = onnx.load(path)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    layers = [node for node in graph.node if node.op_type in KINDS and node.name not in floats]
    made: dict[str, str] = {}
    for node in layers:
        for place in (1, 2):
            name = node.input[place]
            if name in constants and name not in made:
                made[name] = f"{name}_dequantized"
                _store(graph, constants[name], made[name])
            node.input[place] = made.get(name, name)
    model.ir_version = IR_VERSION
    onnx.save(model, path)
    return len(layers)


def _store(graph: onnx.GraphProto, tensor: onnx.TensorProto, name: str) -> None:
    """(directions, gates x units, inputs): a row has one scale in both directions."""
    weights = numpy_helper.to_array(tensor)
    scale = np.maximum(np.abs(weights).max((0, 2)) / 127, np.finfo(np.float32).tiny).astype(np.float32)
    rounded = np.clip(np.rint(weights / scale[None, :, None]), -127, 127).astype(np.int8)
    stored = [numpy_helper.from_array(rounded, f"{name}_int8"), numpy_helper.from_array(scale, f"{name}_scale")]
    graph.initializer.remove(tensor)
    graph.initializer.extend(stored)
    graph.node.insert(0, helper.make_node("DequantizeLinear", [each.name for each in stored], [name], axis=1))
