"""Reads `config.pbtxt` by NVIDIA's own message definition."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from google.protobuf import text_format

KINDS = {
    "TYPE_FP32": "tensor(float)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_INT64": "tensor(int64)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_BOOL": "tensor(bool)",
}
"""Triton's types -> those of ONNX Runtime: https://github.com/triton-inference-server/onnxruntime_backend"""


def _definition() -> Any:
    """`tritonclient.grpc.model_config_pb2`, from its file: the package around it wants grpc."""
    found = importlib.util.find_spec("tritonclient")
    assert found is not None and found.submodule_search_locations
    path = Path(found.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MESSAGES = _definition()


def read(path: Path) -> Any:
    """A `ModelConfig`. Raises: ParseError for what Triton would not take."""
    return text_format.Parse(path.read_text(encoding="utf-8"), MESSAGES.ModelConfig())


def check(folder: Path) -> Any:
    """Compare the config of a model in a repository with its graph; returns it."""
    import onnxruntime

    found = read(folder / "config.pbtxt")
    assert found.name == folder.name
    session = onnxruntime.InferenceSession(str(folder / "1" / "model.onnx"))
    for described, nodes in ((found.input, session.get_inputs()), (found.output, session.get_outputs())):
        assert [tensor.name for tensor in described] == [node.name for node in nodes]
        for tensor, node in zip(described, nodes, strict=True):
            assert KINDS[MESSAGES.DataType.Name(tensor.data_type)] == node.type
            # With batches Triton puts their axis before `dims`.
            dims = ([-1] if found.max_batch_size else []) + list(tensor.dims)
            assert dims == [size if isinstance(size, int) else -1 for size in node.shape], tensor.name
    return found
