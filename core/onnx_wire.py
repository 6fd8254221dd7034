"""ONNX graphs in protobuf's wire format, taken apart and written where no package for it is: servers and devices have
no onnx. Fields are those of onnx.proto, https://github.com/onnx/onnx/blob/v1.19.0/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from core.protobuf import BYTES, FIXED_32, VARINT, message, number, read_varint, real

IR, MODEL_GRAPH, OPSETS, FUNCTIONS = 1, 7, 8, 25
"""Of ModelProto."""
NODE, NAME, INITIALIZER, INPUT, OUTPUT = 1, 2, 5, 11, 12
"""Of GraphProto."""
NODE_INPUT, NODE_OUTPUT, NODE_DOMAIN = 1, 2, 7
"""Of NodeProto, whose fields are all texts or messages."""
MICROSOFT = "com.microsoft"
TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9}
"""TensorProto.DataType."""
FIXED_64 = 1
Content = bytes | memoryview


class Graph(bytes):
    """An attribute that is a graph."""


class Value(NamedTuple):
    """An input or output of a graph."""

    name: str
    type: Content
    """TypeProto."""

    def named(self, name: str) -> bytes:
        """The same under another name."""
        return message(1, name) + message(2, bytes(self.type))

    def opened(self, name: str, more: int = 0) -> bytes:
        """A tensor of the same kind of numbers under another name: where sizes are open they are no longer said to be
        those of others. more: open axes before its own."""
        tensor = dict(fields(self.type))[1]
        parts = dict(fields(tensor))
        sizes = [dict(fields(part)) for _, part in fields(parts.get(2, b""))]
        shape = [f"{name}.{axis}" for axis in range(more)]
        return _described(
            name, parts[1], [*shape, *(size.get(1, f"{name}.{more + axis}") for axis, size in enumerate(sizes))]
        )


def fields(content: Content) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a message: an int, or the bytes of a text, a list or another message, not
    copied. Raises: ValueError where it is no message."""
    content, at = memoryview(content), 0
    try:
        while at < len(content):
            key, at = read_varint(content, at)
            wire = key & 7
            if wire == VARINT:
                value, at = read_varint(content, at)
                yield key >> 3, value
                continue
            if wire not in (BYTES, FIXED_32, FIXED_64):
                raise ValueError(f"wire type {wire}")
            size, at = read_varint(content, at) if wire == BYTES else ({FIXED_32: 4, FIXED_64: 8}[wire], at)
            if at + size > len(content):
                raise ValueError("a field ends behind its message")
            yield key >> 3, content[at : at + size]
            at += size
    except IndexError:
        raise ValueError("a field ends behind its message") from None


def read_value(content: Content) -> Value:
    """A ValueInfoProto."""
    parts = dict(fields(content))
    return Value(bytes(parts[1]).decode(), parts[2])


def value(name: str, kind: str, shape: Sequence[int | str]) -> bytes:
    """A ValueInfoProto; sizes that are open have names."""
    return _described(name, TYPES[kind], shape)


def _described(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    sizes = b"".join(message(1, message(2, size) if isinstance(size, str) else number(1, size)) for size in shape)
    return message(1, name) + message(2, message(1, number(1, kind) + message(2, sizes)))


def tensor(name: str, array: np.ndarray | np.generic) -> bytes:
    """A TensorProto."""
    dims = b"".join(number(1, size) for size in array.shape)
    return dims + number(2, TYPES[array.dtype.name]) + message(8, name) + message(9, array.tobytes())


def node(
    operator: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    domain: str = "",
    attributes: Mapping[str, Any] | None = None,
) -> bytes:
    """A NodeProto, called as the first of its outputs."""
    body = b"".join(message(1, each) for each in inputs) + b"".join(message(2, each) for each in outputs)
    body += message(3, outputs[0]) + message(4, operator)
    body += b"".join(message(5, _attribute(name, given)) for name, given in (attributes or {}).items())
    return body + (message(7, domain) if domain else b"")


def _attribute(name: str, given: Any) -> bytes:
    if isinstance(given, Graph):
        return message(1, name) + message(6, given) + number(20, 5)
    if isinstance(given, float):
        return message(1, name) + real(2, given) + number(20, 1)
    if isinstance(given, int):
        return message(1, name) + number(3, given) + number(20, 2)
    return message(1, name) + b"".join(number(8, each) for each in given) + number(20, 7)
