"""Requests and answers of protocol v2 from and to messages, by the same rules as over REST."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError, Message

from serving.answers import Answer
from serving.errors import RefusalError
from serving.inference import Asked, Wanted, arrays, known_options, wanted_outputs
from serving.rpc import wire
from serving.rpc.messages import CLASSES, FIELDS
from serving.tensors import DTYPES, encode

NAMES = [FIELDS["ModelInferRequest"][name][0] for name in ("model_name", "model_version")]
CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Datatype -> the field that holds its values; the others come as raw_input_contents alone."""


def message(name: str, content: bytes) -> Any:
    """Raises: RefusalError 400."""
    try:
        return CLASSES[name].FromString(content)
    except DecodeError:
        raise wire.malformed() from None


def addressee(content: bytes) -> tuple[str, str | None]:
    """The model that a ModelInferRequest is for, and its version, if it names one. Raises: RefusalError 400, 413."""
    name, version = wire.texts(content, NAMES)
    return name, version or None


def parse(content: bytes, role: Any) -> Asked:
    """A ModelInferRequest. Raises: RefusalError 400, 413."""
    wire.check(content)
    request = message("ModelInferRequest", content)
    options = {name: _value(name, parameter) for name, parameter in request.parameters.items()}
    known_options(options, role)
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise RefusalError(
            400, f"raw_input_contents has {len(raw)} tensors, but there are {len(request.inputs)} inputs"
        )
    entries: list[dict[str, Any]] = []
    data: list[bytes] = []
    for i, entry in enumerate(request.inputs):
        if raw and entry.HasField("contents"):
            raise RefusalError(400, f"input {entry.name[:64]!r} has contents and raw_input_contents; expected one")
        data.append(raw[i] if raw else _packed(entry))
        size = {"binary_data_size": len(data[-1])}
        entries.append({"name": entry.name, "datatype": entry.datatype, "shape": list(entry.shape), "parameters": size})
    blob = memoryview(b"".join(data))
    outputs = [{"name": output.name} for output in request.outputs] or None
    wanted = Wanted(request.id or None, wanted_outputs(outputs, role.OUTPUTS, True), True)
    return Asked(arrays(entries, role.INPUTS, blob), options, wanted)


def _value(name: str, parameter: Any) -> Any:
    choice = parameter.WhichOneof("parameter_choice")
    if choice is None:
        raise RefusalError(400, f"parameters: {name[:64]!r} has no value")
    return getattr(parameter, choice)


def _packed(entry: Any) -> bytes:
    """The values of `contents` as the raw form has them."""
    where, field = f"input {entry.name[:64]!r}", CONTENTS.get(entry.datatype)
    if field is None:
        raise RefusalError(400, f"{where}: values of {entry.datatype[:32]!r} come as raw_input_contents")
    values = getattr(entry.contents, field)
    if filled := [found.name for found, _ in entry.contents.ListFields() if found.name != field]:
        raise RefusalError(400, f"{where}: has {filled[0]}, but values of {entry.datatype} stand in {field}")
    if entry.datatype == "BYTES":
        return b"".join(struct.pack("<I", len(value)) + value for value in values)
    try:
        return np.array(list(values), np.dtype(DTYPES[entry.datatype]).newbyteorder("<")).tobytes()
    except OverflowError:
        raise RefusalError(400, f"{where}: a value is out of the range of {entry.datatype}") from None


def response(model: str, version: str, role: Any, outputs: dict[str, np.ndarray], asked: Wanted) -> Answer:
    """A ModelInferResponse; outputs are raw, as Triton's are."""
    answer = CLASSES["ModelInferResponse"](model_name=model, model_version=version, id=asked.id or "")
    datatypes = {tensor.name: tensor.datatype for tensor in role.OUTPUTS}
    for name in asked.outputs or datatypes:
        entry, data = encode(name, outputs[name], datatypes[name], True)
        answer.outputs.add(name=name, datatype=entry["datatype"], shape=entry["shape"])
        answer.raw_output_contents.append(data)
    return packed(answer)


def packed(answer: Message) -> Answer:
    return Answer([answer.SerializeToString()], "application/grpc")
