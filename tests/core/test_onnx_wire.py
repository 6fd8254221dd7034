"""Graphs written and taken apart byte by byte, against the package for them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from core import onnx_wire
from core.onnx_wire import Graph, fields, read_value
from core.protobuf import message, number, real, tag


def test_what_is_written_is_what_onnx_reads() -> None:
    inner = message(onnx_wire.NAME, "inner")
    node = onnx.NodeProto.FromString(
        onnx_wire.node(
            "Loop", ["a", ""], ["b", "c"], "x.y", {"axis": 1, "alpha": 0.5, "perm": [0, 2, 1], "body": Graph(inner)}
        )
    )
    assert (node.op_type, node.name, node.domain) == ("Loop", "b", "x.y")
    assert (list(node.input), list(node.output)) == (["a", ""], ["b", "c"])
    told = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    assert told.pop("body").name == "inner"
    assert told == {"axis": 1, "alpha": 0.5, "perm": [0, 2, 1]}
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    tensor = onnx.TensorProto.FromString(onnx_wire.tensor("w", array))
    assert tensor.name == "w"
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), array)


def test_a_value_is_described_anew() -> None:
    """Sizes that are open stay open, but are no longer said to be those of others."""
    first = read_value(onnx_wire.value("x", "int64", ("batch", 4)))
    same, opened = (onnx.ValueInfoProto.FromString(each) for each in (first.named("y"), first.opened("z", 1)))
    assert same == onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT64, ["batch", 4])
    assert opened == onnx.helper.make_tensor_value_info("z", onnx.TensorProto.INT64, ["z.0", "z.1", 4])


def test_fields_of_every_wire_type_are_read() -> None:
    content = number(1, 300) + message(2, "text") + real(3, 0.5) + tag(4, 1) + bytes(8) + number(1, 7)
    found = [(field, part if isinstance(part, int) else bytes(part)) for field, part in fields(content)]
    assert found == [(1, 300), (2, b"text"), (3, b"\0\0\0?"), (4, bytes(8)), (1, 7)]


@pytest.mark.parametrize("content", [message(1, "text")[:-1], tag(1, 2), tag(1, 3), b"\xff" * 12])
def test_what_is_no_message_is_told(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"ends behind|wire type|64 bits"):
        list(fields(content))
