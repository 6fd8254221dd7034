"""The smallest graph that can be loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(path: Path, external: str | None = None) -> None:
    """y = x + w with 64 weights, inside the file or outside at `external`."""
    weight = numpy_helper.from_array(np.arange(64, dtype=np.float32), "w")
    if external:
        (path.parent / external).write_bytes(weight.raw_data)
        onnx.external_data_helper.set_external_data(weight, external)
        weight.ClearField("raw_data")
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [64]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "add", value[:1], value[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.write_bytes(model.SerializeToString())
