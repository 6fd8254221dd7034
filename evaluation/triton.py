"""A Triton model repository: each graph of a model folder as a model with its `config.pbtxt`.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html
https://github.com/triton-inference-server/onnxruntime_backend
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.onnx_session import session

TYPES = {
    "tensor(float)": "TYPE_FP32",
    "tensor(float16)": "TYPE_FP16",
    "tensor(double)": "TYPE_FP64",
    "tensor(int64)": "TYPE_INT64",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int8)": "TYPE_INT8",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(bool)": "TYPE_BOOL",
}
WAIT_US = 2000
"""Microseconds that a request waits for others to share a batch with."""
ROWS = 256
"""Largest batch. It counts rows, of which a client may need several for an input (one for each beam of a search)."""

BATCHED = f"""max_batch_size: {ROWS}
dynamic_batching {{ max_queue_delay_microseconds: {WAIT_US} }}"""
UNBATCHED = """# The first axis of some output is no batch (rows of all inputs together, say): Triton could not tell
# whose row is whose, so it makes no batches. A client may send one, as the first axis of the inputs.
max_batch_size: 0"""


def repository(model: Path, task: str, folder: Path) -> None:
    """Write the model repository `folder` for the graphs of the folder `model`.

    Models are named as the task, those of a task with several graphs `<task>_<graph>`.
    """
    graphs = sorted(model.glob("*.onnx"))
    for path in graphs:
        name = task if len(graphs) == 1 else f"{task}_{path.stem}"
        (folder / name / "1").mkdir(parents=True)
        shutil.copyfile(path, folder / name / "1" / "model.onnx")
        (folder / name / "config.pbtxt").write_text(config(path, name), encoding="utf-8")


def config(path: Path, name: str) -> str:
    """`config.pbtxt` of the graph at `path`, from its own inputs and outputs."""
    opened = session(path, threads=1)
    inputs, outputs = opened.get_inputs(), opened.get_outputs()
    batched = _batched([*inputs, *outputs])
    return f"""name: {_quoted(name)}
platform: "onnxruntime_onnx"
backend: "onnxruntime"
{BATCHED if batched else UNBATCHED}
{_tensors("input", inputs, batched)}
{_tensors("output", outputs, batched)}
version_policy {{ latest {{ num_versions: 1 }} }}
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
# Threads of one request; 0: all cores. With several instances, give each its share.
parameters {{ key: "intra_op_thread_count" value {{ string_value: "0" }} }}
parameters {{ key: "inter_op_thread_count" value {{ string_value: "1" }} }}
"""


def _batched(nodes: Sequence[Any]) -> bool:
    """Whether the first axis of all inputs and outputs is the same free one; something is left of each without it."""
    first = {node.shape[0] if len(node.shape) > 1 else None for node in nodes}
    return len(first) == 1 and isinstance(first.pop(), str)


def _tensors(kind: str, nodes: Sequence[Any], batched: bool) -> str:
    entries = ",\n".join(
        f"  {{ name: {_quoted(node.name)} data_type: {TYPES[node.type]} dims: {_dims(node.shape[batched:])} }}"
        for node in nodes
    )
    return f"{kind} [\n{entries}\n]"


def _dims(shape: Sequence[Any]) -> str:
    return str([size if isinstance(size, int) else -1 for size in shape])


def _quoted(text: str) -> str:
    """Text of the protobuf text format; of ASCII, JSON's is the same."""
    return json.dumps(text)
