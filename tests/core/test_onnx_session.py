"""Graphs that are damaged, changed or reach outside their folder are refused (docs/faults.md 79, 80)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx_tiny import save

from core import onnx_session
from core.errors import ModelError


def test_a_graph_runs(tmp_path: Path) -> None:
    save(tmp_path / "add.onnx")
    onnx_session.seal(tmp_path)
    (result,) = onnx_session.session(tmp_path / "add.onnx", threads=1).run(None, {"x": np.ones(64, np.float32)})
    assert np.array_equal(np.asarray(result), np.arange(64) + 1)


@pytest.mark.parametrize(("started", "traces"), [("from core.onnx_session import session", 0), ("", 1)])
def test_onnx_runtime_keeps_no_record_for_its_maker(tmp_path: Path, started: str, traces: int) -> None:
    """Its usage data goes out of native code, which no audit hook sees; but it is kept in files first. The second case
    is ONNX Runtime left alone: without it the first could not fail."""
    save(tmp_path / "add.onnx")
    code = f"{started}\nfrom onnxruntime import InferenceSession\nInferenceSession('add.onnx')"
    hidden = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "CI")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    root = str(Path(onnx_session.__file__).parents[1])
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": root}
    offline = ("unshare", "--map-root-user", "--net")
    subprocess.run([*offline, sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert len(list(tmp_path.rglob("deviceid"))) == traces


def test_a_flipped_bit_in_the_weights_is_refused(tmp_path: Path) -> None:
    """docs/faults.md 80: ONNX Runtime by itself would load it."""
    path = tmp_path / "add.onnx"
    save(path)
    onnx_session.seal(tmp_path)
    content = bytearray(path.read_bytes())
    place = content.index(np.float32(7).tobytes()) + 2
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="was changed or damaged"):
        onnx_session.session(path)
    (tmp_path / onnx_session.CHECKSUMS).unlink()
    onnx_session.session(path)  # what the checksum is there for


def test_a_truncated_graph_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "add.onnx")
    content = (tmp_path / "add.onnx").read_bytes()
    (tmp_path / "add.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cannot be loaded"):
        onnx_session.session(tmp_path / "add.onnx")


def test_weights_outside_of_the_folder_are_refused(tmp_path: Path) -> None:
    """docs/faults.md 79."""
    folder = tmp_path / "model"
    folder.mkdir()
    save(folder / "add.onnx", external="../outside.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        onnx_session.session(folder / "add.onnx")


def test_a_missing_graph_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="run the stage that makes its folder again"):
        onnx_session.session(tmp_path / "none.onnx")


def test_a_provider_that_is_not_there_is_no_silent_fallback(tmp_path: Path) -> None:
    save(tmp_path / "add.onnx")
    with pytest.raises(ModelError, match="CUDAExecutionProvider is not active"):
        onnx_session.session(tmp_path / "add.onnx", provider="CUDAExecutionProvider")
