"""A Triton model repository says of a graph what the graph itself says."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import toy_package
import triton_config
from google.protobuf import text_format
from onnx import TensorProto, helper

from evaluation import triton


def doubler(path: Path, shape: list[str | int], kind: int = TensorProto.FLOAT) -> None:
    """A graph that doubles `x` of `shape` into `y`."""
    value = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y")]
    made = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", value[:1], value[1:])
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))


def test_a_graph_whose_outputs_are_rows_of_all_inputs_makes_no_batches(tmp_path: Path) -> None:
    package = toy_package.make(tmp_path / "package")
    triton.repository(package / "model", "detection", tmp_path / "triton")
    assert [path.name for path in (tmp_path / "triton").iterdir()] == ["detection"]
    found = triton_config.check(tmp_path / "triton" / "detection")
    assert found.max_batch_size == 0 and not found.HasField("dynamic_batching")
    assert "is no batch" in (tmp_path / "triton" / "detection" / "config.pbtxt").read_text()
    original = (package / "model" / "detector.onnx").read_bytes()
    assert (tmp_path / "triton" / "detection" / "1" / "model.onnx").read_bytes() == original


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.INT32])
def test_graphs_whose_first_axis_is_a_batch_share_batches(tmp_path: Path, kind: int) -> None:
    (tmp_path / "model").mkdir()
    doubler(tmp_path / "model" / "encoder.onnx", ["batch", "length", 4], kind)
    doubler(tmp_path / "model" / "step.onnx", ["batch", 1], kind)
    triton.repository(tmp_path / "model", "toy", tmp_path / "triton")
    for name, dims in (("toy_encoder", [-1, 4]), ("toy_step", [1])):
        found = triton_config.check(tmp_path / "triton" / name)
        assert found.max_batch_size == triton.ROWS
        assert found.dynamic_batching.max_queue_delay_microseconds == triton.WAIT_US
        assert list(found.input[0].dims) == dims


@pytest.mark.parametrize("shape", [["batch"], [2, "length"]])
def test_what_has_no_free_first_axis_with_something_behind_it_is_no_batch(
    tmp_path: Path, shape: list[str | int]
) -> None:
    (tmp_path / "model").mkdir()
    doubler(tmp_path / "model" / "g.onnx", shape)
    triton.repository(tmp_path / "model", "toy", tmp_path / "triton")
    assert triton_config.check(tmp_path / "triton" / "toy").max_batch_size == 0


def test_a_config_says_how_it_runs(tmp_path: Path) -> None:
    doubler(tmp_path / "g.onnx", ["batch", 4])
    found = text_format.Parse(triton.config(tmp_path / "g.onnx", "toy"), triton_config.MESSAGES.ModelConfig())
    assert (found.platform, found.backend) == ("onnxruntime_onnx", "onnxruntime")
    assert found.version_policy.latest.num_versions == 1
    assert {key: value.string_value for key, value in found.parameters.items()} == {
        "intra_op_thread_count": "0",
        "inter_op_thread_count": "1",
    }
    assert found.instance_group[0].kind == triton_config.MESSAGES.ModelInstanceGroup.KIND_CPU
