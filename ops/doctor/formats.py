"""Opsets and IR versions, tried: what the installed onnx writes and what the installed ONNX Runtime loads.

The graph is written byte by byte (protocol buffers' wire format, the fields of onnx.proto): the server's image has no
onnx. It is a convolution and a matrix product, so on a GPU it needs cuDNN and cuBLAS.
"""

from __future__ import annotations

from typing import Any

from core.protobuf import message, number

SHAPE = (1, 1, 2, 2)
HIGHEST = 64  # versions tried; onnx 1.23 stands at opset 28, IR 14
FLOAT = 1


def graph(opset: int, ir: int) -> bytes:
    """`z = matmul(conv(x, w), x)`; x: SHAPE, w: one number, shape (1, 1, 1, 1)."""

    def tensor(name: bytes, shape: tuple[int, ...]) -> bytes:
        sizes = b"".join(message(1, number(1, size)) for size in shape)
        return message(1, name) + message(2, message(1, number(1, FLOAT) + message(2, sizes)))

    def node(kind: bytes, inputs: tuple[bytes, ...], output: bytes) -> bytes:
        return b"".join(message(1, name) for name in inputs) + message(2, output) + message(4, kind)

    nodes = message(1, node(b"Conv", (b"x", b"w"), b"y")) + message(1, node(b"MatMul", (b"y", b"x"), b"z"))
    ends = message(11, tensor(b"x", SHAPE)) + message(11, tensor(b"w", (1, 1, 1, 1))) + message(12, tensor(b"z", SHAPE))
    return (
        number(1, ir) + message(7, nodes + message(2, b"tiny") + ends) + message(8, message(1, b"") + number(2, opset))
    )


def compute(onnxruntime: Any, opset: int, ir: int, provider: str) -> list[str]:
    """Run the graph. Returns: the session's providers. Raises: ONNX Runtime's exceptions, ValueError if it is wrong."""
    import numpy as np

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(graph(opset, ir), options, providers=[provider])
    x = np.arange(1, 5, dtype=np.float32).reshape(SHAPE)
    (found,) = session.run(None, {"x": x, "w": np.full((1, 1, 1, 1), 2, np.float32)})
    if not np.allclose(found, 2 * x @ x):
        raise ValueError(f"a product of two matrices is {found.tolist()}, expected {(2 * x @ x).tolist()}")
    return list(session.get_providers())


def loaded(onnxruntime: Any) -> dict[str, int | None]:
    """Highest opset and IR version that ONNX Runtime really loads and computes."""

    def works(opset: int, ir: int) -> bool:
        try:
            compute(onnxruntime, opset, ir, "CPUExecutionProvider")
        except Exception:  # ONNX Runtime's own exceptions share no base class but this
            return False
        return True

    opsets = [n for n in range(1, HIGHEST) if works(n, 8)]
    irs = [n for n in range(3, HIGHEST) if works(13, n)]
    return {"opset": max(opsets, default=None), "ir": max(irs, default=None)}


def written() -> dict[str, Any] | None:
    """onnx's version and the opset and IR that it stamps and accepts by default; None without onnx."""
    try:
        import onnx
    except ImportError:
        return None
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    nodes = [onnx.helper.make_node("Relu", ["x"], ["y"])]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "tiny", values[:1], values[1:]))
    onnx.checker.check_model(model)
    return {"version": onnx.__version__, "opset": model.opset_import[0].version, "ir": model.ir_version}
