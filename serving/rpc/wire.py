"""What a request holds, counted before it is unpacked: two bytes may become a message of a hundred.

The encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from serving.body import VALUES
from serving.errors import RefusalError
from serving.rpc.messages import FIELDS
from serving.tensors import ELEMENTS

FEW = 256
"""Fields of a message that holds no values."""
SHORT = 4096
"""Bytes of one of its fields."""
INPUTS, RAW = (FIELDS["ModelInferRequest"][name][0] for name in ("inputs", "raw_input_contents"))
CONTENTS = FIELDS["InferInputTensor"]["contents"][0]
KINDS = dict(FIELDS["InferTensorContents"].values())
BYTES = {"repeated float": 4, "repeated double": 8}
"""Of a value that is not of varying length."""
VARINT, FIXED_64, DELIMITED, FIXED_32 = 0, 1, 2, 5


def texts(content: bytes, numbers: Sequence[int]) -> list[str]:
    """Short texts of a message, by their fields' numbers; empty where they lack. Raises: RefusalError 400, 413."""
    found = dict.fromkeys(numbers, "")
    for number, part in _fields(memoryview(content), FEW):
        if number in found:
            _short(part)
            try:
                found[number] = bytes(part).decode()
            except UnicodeDecodeError:
                raise malformed() from None
    return list(found.values())


def check(content: bytes) -> None:
    """A ModelInferRequest. Raises: RefusalError 400, 413."""
    values = 0
    for number, part in _fields(memoryview(content), FEW):
        if number == INPUTS:
            for inner, held in _fields(part, FEW):
                if inner == CONTENTS:
                    for kind, packed in _fields(held, ELEMENTS):
                        values = _few(values + _count(kind, packed))
                else:
                    _short(held)
        elif number != RAW:
            _short(part)


def _few(values: int) -> int:
    """Asked at each field: to count on beyond the bound takes seconds."""
    if values > VALUES:
        raise RefusalError(413, f"more than {VALUES} values in contents; send large tensors as raw_input_contents")
    return values


def _short(part: memoryview) -> None:
    if len(part) > SHORT:
        raise RefusalError(413, f"a field has {len(part)} bytes, expected at most {SHORT} but for values")


def _count(number: int, packed: memoryview) -> int:
    """Values of a field of contents, which may hold several; at least 1, since one without any takes its time, too."""
    kind = KINDS.get(number, "")
    if kind in BYTES:
        return max(1, -(-len(packed) // BYTES[kind]))
    if kind == "repeated bytes" or not kind:
        return 1
    return max(1, int(np.count_nonzero(np.frombuffer(packed, np.uint8) < 0x80)))


def _fields(data: memoryview, most: int) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each field; of a number its own bytes."""
    at, count = 0, 0
    while at < len(data):
        if (count := count + 1) > most:
            raise RefusalError(413, f"a message has more than {most} fields; send large tensors as raw_input_contents")
        tag, at = _varint(data, at)
        kind, start = tag & 7, at
        if kind == VARINT:
            _, at = _varint(data, at)
        elif kind == DELIMITED:
            length, start = _varint(data, at)
            at = start + length
        elif kind in (FIXED_32, FIXED_64):
            at += 4 if kind == FIXED_32 else 8
        else:  # groups, which no message of ours has
            raise malformed()
        if at > len(data) or not tag >> 3:
            raise malformed()
        yield tag >> 3, data[start:at]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise malformed()


def malformed() -> RefusalError:
    return RefusalError(400, "the message is not of its type, as the protocol has it")
