"""The few parts of protobuf's wire format that ONNX files need where no package for it is there
(https://protobuf.dev/programming-guides/encoding/)."""

from __future__ import annotations

import struct

VARINT, BYTES, FIXED_32 = 0, 2, 5
"""Wire types."""


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow. number: at least 0."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def read_varint(content: bytes | memoryview, at: int) -> tuple[int, int]:
    """The number at offset `at`, and the offset behind it."""
    number = 0
    for place in range(10):  # protobuf's numbers have 64 bits
        number |= (content[at + place] & 0x7F) << (7 * place)
        if content[at + place] < 0x80:
            return number, at + place + 1
    raise ValueError("a length of more than 64 bits")


def tag(field: int, wire: int) -> bytes:
    """What stands before a value."""
    return varint(field << 3 | wire)


def message(field: int, content: bytes | memoryview | str) -> bytes:
    """A field of bytes, of text, or of another message."""
    content = content.encode() if isinstance(content, str) else content
    return begun(field, len(content)) + content


def begun(field: int, size: int) -> bytes:
    """What stands before a field of so many bytes."""
    return tag(field, BYTES) + varint(size)


def number(field: int, value: int) -> bytes:
    """A field of a whole number; of int64 below 0 the two's complement."""
    return tag(field, VARINT) + varint(value % 2**64)


def real(field: int, value: float) -> bytes:
    """A field of a float of 32 bits."""
    return tag(field, FIXED_32) + struct.pack("<f", value)
