"""The strict mode; where there is a GPU (`pytest -m gpu`, in requirements/train.lock), that it is really used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_tiny import save

from core import gpu, onnx_session
from core.errors import ModelError, StillhouseError, TrainingError
from training import hardware

ROOT = Path(__file__).parents[2]
WHY_NOT = gpu.of_onnxruntime()
on_a_gpu = pytest.mark.skipif(bool(WHY_NOT), reason="; ".join(map(str, WHY_NOT)))


@pytest.mark.parametrize(("value", "strict"), [(None, False), ("", False), ("0", False), ("1", True)])
def test_the_strict_mode_asks_for_cuda(monkeypatch: pytest.MonkeyPatch, value: str | None, strict: bool) -> None:
    monkeypatch.delenv(gpu.VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(gpu.VARIABLE, value)
    assert gpu.required() is strict
    assert gpu.provider() == gpu.provider("fp16") == (gpu.CUDA if strict else gpu.CPU)
    assert gpu.provider("int8") == gpu.CPU


def test_another_value_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpu.VARIABLE, "on")
    with pytest.raises(StillhouseError, match="STILLHOUSE_REQUIRE_GPU is 'on', expected 1"):
        gpu.provider()


@pytest.mark.skipif(not WHY_NOT, reason="CUDA works here")
def test_a_session_that_fell_back_is_refused_with_the_reason(tmp_path: Path) -> None:
    save(tmp_path / "add.onnx")
    with pytest.raises(ModelError) as caught:
        onnx_session.session(tmp_path / "add.onnx", provider=gpu.CUDA)
    assert str(WHY_NOT[0]) in str(caught.value)
    assert onnx_session.session(tmp_path / "add.onnx").get_providers() == [gpu.CPU]


def test_training_refuses_the_cpu_in_the_strict_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch has a GPU here")
    monkeypatch.setenv(gpu.VARIABLE, "0")
    assert hardware.accelerator() == "cpu"
    monkeypatch.setenv(gpu.VARIABLE, "1")
    with pytest.raises(TrainingError, match=r"demands a GPU, and training would be on the CPU: .*; "):
        hardware.prepare(1, 1)


def matrices(path: Path, half: bool) -> None:
    """Eight products with square matrices of 2048: 137 GFLOP at batch 2048."""
    kind = np.float16 if half else np.float32
    weight = numpy_helper.from_array((np.eye(2048) / 2).astype(kind), "w")
    names = [f"v{i}" for i in range(9)]
    nodes = [helper.make_node("MatMul", [a, "w"], [b]) for a, b in pairwise(names)]
    element = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    values = [helper.make_tensor_value_info(name, element, ["n", 2048]) for name in (names[0], names[-1])]
    graph = helper.make_graph(nodes, "matrices", values[:1], values[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def seconds(session: onnxruntime.InferenceSession, x: np.ndarray) -> float:  # type: ignore[type-arg]
    """Best of five after a warm-up."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        session.run(None, {"v0": x})
        times.append(time.perf_counter() - start)
    return min(times[1:])


@pytest.mark.gpu
@on_a_gpu
@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
def test_a_session_computes_on_the_gpu(tmp_path: Path, half: bool) -> None:
    """Named by the session, by the profile of every node, and by speed."""
    path = tmp_path / "matrices.onnx"
    matrices(path, half)
    x = np.ones((2048, 2048), np.float16 if half else np.float32)
    session = onnx_session.session(path, provider=gpu.CUDA)
    assert session.get_providers()[0] == gpu.CUDA
    (found,) = session.run(None, {"v0": x})
    assert np.allclose(found, 2.0**-8)
    assert seconds(onnx_session.session(path), x) > 3 * seconds(session, x)

    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    profiled = onnxruntime.InferenceSession(str(path), options, providers=[gpu.CUDA, gpu.CPU])
    profiled.run(None, {"v0": x})
    events = json.loads(Path(profiled.end_profiling()).read_text(encoding="utf-8"))
    kernels = [e["args"] for e in events if e.get("cat") == "Node" and e.get("args", {}).get("op_name") == "MatMul"]
    assert kernels
    assert {args["provider"] for args in kernels} == {gpu.CUDA}


@pytest.mark.gpu
@on_a_gpu
def test_the_strict_mode_is_content_with_a_gpu() -> None:
    environment = {**os.environ, gpu.VARIABLE: "1"}
    command = [sys.executable, "-m", "ops.doctor"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "computes on the GPU" in done.stdout
