"""int8 and fp16: smaller, still right, and refused when quality collapses."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import planted
import pytest
import translation_tiny as tiny

from compression.graphs import lookups
from core import onnx_session
from core.errors import ModelError
from stages import quantize as stage
from tasks.translation.predict import Predictor, inputs
from tasks.translation.quantize import quantize

pytestmark = pytest.mark.models


@pytest.fixture(
    params=["transformer", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("ssru", "gru-attention", "lstm"))]
)
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
        assert kinds.count("MatMulIntegerToFloat") >= 3  # the output projection among them
        for name in ("encoder", "step"):
            floats = [t for t in onnx.load(target / f"{name}.onnx").graph.initializer if t.data_type == t.FLOAT]
            assert max(math.prod(tensor.dims) for tensor in floats) < lookups.SMALLEST, "no table is left in fp32"


@pytest.mark.parametrize("mode", ["static", "dynamic"])
def test_what_a_sentence_gets_does_not_depend_on_its_batch(made: tiny.Exported, tmp_path: Path, mode: str) -> None:
    """One scale for all rows of a batch changed 7 of 100 translations. Of a Transformer it is the same to the last bit;
    a GRU computes in floats, in an order that hangs on the batch."""
    quantize(made.folder, tmp_path, "int8", made.data, tiny.settings(quantize={"mode": mode, "calibration": 16}), 7)
    predictor = Predictor(tmp_path, threads=1)
    texts = ["he", *inputs(made.data, "test"), "books see apples", "she buy apples . he see books .", "rice rice rice"]
    together = predictor.search(texts)[1]
    for text, found in zip(texts, together, strict=True):
        (alone,) = predictor.search([text])[1]
        assert alone.ids == found.ids
        assert alone.score == (found.score if hasattr(made.net, "encoder") else pytest.approx(found.score, abs=1e-6))


@pytest.fixture
def broken(made: tiny.Exported, tmp_path: Path) -> stage.Job:
    """Weights that 8 bits cannot hold: one huge value in each column, the same for every subword, so fp32 ranks them
    as before."""
    source, aside = tmp_path / "broken", tmp_path / "aside"
    shutil.copytree(made.folder, source)
    aside.mkdir()
    planted.huge_row(source / "step.onnx", "projection")
    onnx_session.seal(source)
    return stage.Job("translation", "int8", source, made.data, made.params, 7, aside, 1)


def job(broken: stage.Job, **settings: Any) -> stage.Job:
    quantized = broken.params.quantize.model_copy(update=settings)
    return dataclasses.replace(broken, params=broken.params.model_copy(update={"quantize": quantized}))


def test_collapse_is_refused(broken: stage.Job, tmp_path: Path) -> None:
    """docs/faults.md 74."""
    with pytest.raises(ModelError, match=r"collapses: .* in int8: BLEU on the validation split goes from"):
        stage.rescued(job(broken, rescue=None, max_loss=1.0), tmp_path / "out")


@pytest.mark.parametrize("mode", ["dynamic", pytest.param("static", marks=pytest.mark.slow)])
def test_a_huge_row_is_rescued(broken: stage.Job, tmp_path: Path, mode: str) -> None:
    """docs/faults.md 146: the projection alone stays in float, and BLEU comes back."""
    notes = stage.rescued(job(broken, mode=mode, calibration=16, rescue=0.5, max_loss=1.0), tmp_path / "out")
    first, kept = notes["rescue"]["tried"][0], notes["rescue"]["kept"]
    assert first["loss"] > 1.0 and notes["loss"] <= 0.5
    assert "projection" in kept[0]["layer"] and len(kept) <= 2
    assert "channels of its weights reach less than" in kept[0]["why"]
