"""Tensors of the Open Inference Protocol v2, as JSON and as binary data (the extension), from and to numpy.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.task import Tensor
from serving.errors import RefusalError

DTYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
_KINDS: dict[str, set[type]] = {"BOOL": {bool}, "BYTES": {str}}
ELEMENTS = 65_536
"""Of a tensor of BYTES, at most; `--max-items` is never more."""
BASE64 = "base64"
"""`parameters.content_type` of a JSON tensor of BYTES whose strings are base64."""


def decode(entry: Any, known: Sequence[Tensor], blob: memoryview) -> tuple[str, np.ndarray, int]:
    """One input of a request. known: the inputs that the model has; blob: what is left of the binary data.

    Returns: its name, its array, how much of `blob` it took. Raises: RefusalError 400.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise RefusalError(400, "inputs: expected objects with name, datatype, shape and data")
    name = entry["name"]
    tensor = next((t for t in known if t.name == name), None)
    if tensor is None:
        raise RefusalError(400, f"there is no input {name[:64]!r}; expected one of {', '.join(t.name for t in known)}")
    where = f"input {name!r}"
    datatype = entry.get("datatype")
    if datatype not in (tensor.datatype, *tensor.also):
        expected = " or ".join((tensor.datatype, *tensor.also))
        raise RefusalError(400, f"{where}: datatype {str(datatype)[:32]!r}, expected {expected}")
    shape = _shape(entry.get("shape"), tensor, where)
    if datatype == "BYTES" and math.prod(shape) > ELEMENTS:
        raise RefusalError(400, f"{where}: {math.prod(shape)} elements, expected at most {ELEMENTS}")
    parameters = entry.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise RefusalError(400, f"{where}: parameters must be an object")
    size = parameters.get("binary_data_size")
    if size is None:
        array = _from_json(entry.get("data"), datatype, shape, where, parameters.get("content_type") == BASE64)
        size = 0
    elif "data" in entry:
        raise RefusalError(400, f"{where}: has data and binary_data_size; expected one of them")
    elif type(size) is not int or not 0 <= size <= len(blob):
        raise RefusalError(
            400, f"{where}: binary_data_size {str(size)[:32]}, but {len(blob)} bytes are left in the body"
        )
    else:
        array = _from_bytes(bytes(blob[:size]), datatype, shape, where)
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        first = np.unravel_index(int(np.argmin(finite)), array.shape)
        raise RefusalError(400, f"{where}: the value at {list(map(int, first))} is not finite")
    return name, array, size


def _shape(value: Any, tensor: Tensor, where: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(size) is int and 0 <= size < 2**31 for size in value):
        raise RefusalError(400, f"{where}: shape must be a list of sizes, each 0 or more")
    fits = len(value) == len(tensor.shape) and all(
        known in (-1, size) for size, known in zip(value, tensor.shape, strict=True)
    )
    if not fits:
        raise RefusalError(400, f"{where}: shape {str(value)[:80]}, expected {list(tensor.shape)} (-1: any size)")
    return tuple(value)


def _from_json(data: Any, datatype: str, shape: tuple[int, ...], where: str, coded: bool) -> np.ndarray:
    if not isinstance(data, list):
        raise RefusalError(400, f"{where}: expected data, a list, or parameters.binary_data_size")
    flat = _flat(data, shape, where)
    if len(flat) != math.prod(shape):
        raise RefusalError(400, f"{where}: {len(flat)} values, but the shape {list(shape)} has {math.prod(shape)}")
    kinds: set[type] = {int, float} if datatype.startswith("FP") else _KINDS.get(datatype, {int})
    if wrong := set(map(type, flat)) - kinds:
        found = ", ".join(sorted(kind.__name__ for kind in wrong))
        raise RefusalError(400, f"{where}: values of {datatype} cannot be {found}")
    if datatype == "BYTES":
        return _objects([_encoded(text, coded, where) for text in flat], shape)
    try:
        with np.errstate(over="ignore"):  # becomes infinite, which is refused
            return np.array(flat, DTYPES[datatype]).reshape(shape)
    except OverflowError:
        raise RefusalError(400, f"{where}: a value is out of the range of {datatype}") from None


def _flat(data: list[Any], shape: tuple[int, ...], where: str) -> list[Any]:
    """Values in row-major order; the protocol allows them flat or nested like the shape."""
    for depth, size in enumerate(shape[1:], 1):
        if not data or not isinstance(data[0], list):
            if depth > 1:
                raise RefusalError(400, f"{where}: data is nested {depth} deep; expected flat, or as deep as the shape")
            return data
        if not all(isinstance(row, list) and len(row) == size for row in data):
            raise RefusalError(400, f"{where}: rows of data are not all of the {size} values that the shape says")
        data = [value for row in data for value in row]
    return data


def _encoded(text: str, coded: bool, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if coded else text.encode()
    except (binascii.Error, ValueError):  # also a lone surrogate
        raise RefusalError(400, f"{where}: a string is not valid {'base64' if coded else 'Unicode'}") from None


def _from_bytes(data: bytes, datatype: str, shape: tuple[int, ...], where: str) -> np.ndarray:
    count = math.prod(shape)
    if datatype == "BYTES":
        return _objects(_split(data, count, where), shape)
    dtype = np.dtype(DTYPES[datatype]).newbyteorder("<")
    if len(data) != count * dtype.itemsize:
        raise RefusalError(400, f"{where}: {len(data)} bytes, but {datatype} {list(shape)} is {count * dtype.itemsize}")
    return np.frombuffer(data, dtype).reshape(shape)


def _split(data: bytes, count: int, where: str) -> list[bytes]:
    """Elements of BYTES: each behind its length, 4 bytes, little endian."""
    found: list[bytes] = []
    at = 0
    while at < len(data) and len(found) < count:
        length = struct.unpack_from("<I", data, at)[0] if at + 4 <= len(data) else len(data)
        if at + 4 + length > len(data):
            raise RefusalError(400, f"{where}: element {len(found)} is longer than the data")
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    if at != len(data) or len(found) != count:
        raise RefusalError(
            400, f"{where}: the data does not hold the {count} elements that the shape says, and no more"
        )
    return found


def _objects(values: Sequence[bytes], shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array.reshape(shape)


def encode(name: str, array: np.ndarray, datatype: str, binary: bool) -> tuple[dict[str, Any], bytes]:
    """One output of a response, and its part of the binary data."""
    entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
    if not binary:
        values = array.ravel().tolist()
        entry["data"] = [value.decode() for value in values] if datatype == "BYTES" else values
        return entry, b""
    if datatype == "BYTES":
        data = b"".join(struct.pack("<I", len(value)) + value for value in array.ravel())
    else:
        data = np.ascontiguousarray(array, np.dtype(DTYPES[datatype]).newbyteorder("<")).tobytes()
    entry["parameters"] = {"binary_data_size": len(data)}
    return entry, data
