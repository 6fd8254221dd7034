"""int8 and fp16: smaller, still right, and refused when quality collapses."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import translation_tiny as tiny
from onnx import numpy_helper

from compression import lookups
from core.errors import ModelError
from stages import quantize as stage
from tasks.translation.predict import Predictor
from tasks.translation.quantize import quantize


@pytest.fixture(params=["transformer", pytest.param("gru-attention", marks=pytest.mark.slow)])
def made(request: pytest.FixtureRequest, exported: Callable[[str], tiny.Exported]) -> tiny.Exported:
    return exported(request.param)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.onnx"))


@pytest.mark.parametrize(("precision", "mode"), [("int8", "dynamic"), ("int8", "static"), ("fp16", "dynamic")])
def test_smaller_and_still_right(made: tiny.Exported, tmp_path: Path, precision: str, mode: str) -> None:
    _, source, data, _ = made
    params = tiny.settings(quantize={"mode": mode, "calibration": 32, "max_loss": 25.0})
    target = tmp_path
    quantize(source, target, precision, data, params, 7)
    before, after = (stage.quality("translation", folder, data, params, 7) for folder in (source, target))
    assert after > before - 25 > 20
    assert size(target) < size(source)
    assert Predictor(target, threads=1)(["he eat rice ."])[0]
    for name in ("encoder", "step"):
        assert onnx.load(target / f"{name}.onnx").ir_version == 10
    if precision == "int8" and mode == "dynamic":
        kinds = [node.op_type for node in onnx.load(target / "step.onnx").graph.node]
        assert kinds.count("MatMulInteger") >= 3  # the output projection among them
        for name in ("encoder", "step"):
            floats = [t for t in onnx.load(target / f"{name}.onnx").graph.initializer if t.data_type == t.FLOAT]
            assert max(math.prod(tensor.dims) for tensor in floats) < lookups.SMALLEST, "no table is left in fp32"


def test_collapse_is_refused(made: tiny.Exported, tmp_path: Path) -> None:
    """docs/faults.md 74: weights that 8 bits cannot hold (one huge value in each column) lose the sentence."""
    _, source, data, _ = made
    target, broken = tmp_path / "collapsed", tmp_path / "broken"
    target.mkdir()
    broken.mkdir()
    for path in source.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    model = onnx.load(broken / "step.onnx")
    projection = next(t for t in model.graph.initializer if t.name.endswith("projection"))
    weights = numpy_helper.to_array(projection).copy()
    weights[0] = 1e4  # the same for every subword, so fp32 ranks them as before; 8 bits have no room for the rest
    projection.CopyFrom(numpy_helper.from_array(weights, projection.name))
    onnx.save(model, broken / "step.onnx")
    params = tiny.settings(quantize={"mode": "dynamic", "max_loss": 1.0})
    quantize(broken, target, "int8", data, params, 7)

    def look(folder: Path) -> float:
        return stage.quality("translation", folder, data, params, 7)

    with pytest.raises(ModelError, match=r"collapses: .* in int8: BLEU on the validation split goes from"):
        stage.checked("translation", "int8", broken, target, params, look)
