"""What a quantized graph need not say: zero points that are zero, which is what none means
(https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html), and the shapes of inner tensors."""

from __future__ import annotations

import onnx
from onnx import numpy_helper


def lean(model: onnx.ModelProto) -> None:
    """Leave it out, in place: 5 of 18 bytes that a channel costs beside its weights, of a convolution with a bias."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or len(node.input) < 3:
            continue
        zero_point = constants.get(node.input[2])
        if node.input[0] in constants and zero_point is not None and not numpy_helper.to_array(zero_point).any():
            del node.input[2]
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    for name, tensor in constants.items():
        if name not in read:
            graph.initializer.remove(tensor)
    del graph.value_info[:]
