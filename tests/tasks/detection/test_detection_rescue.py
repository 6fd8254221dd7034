"""int8 that a planted fault has ruined comes back to within 0.02 mAP of fp32 (`compression.graphs.rescue`)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import detection_tiny
import planted
import pytest
from PIL import Image

from compression.graphs import equalisation
from compression.graphs.calibration import sample
from core import onnx_session
from core.errors import ModelError
from stages import quantize as stage
from tasks.detection.predict import inputs

pytestmark = pytest.mark.models

CLOSE = 0.02
"""mAP."""


@pytest.fixture(scope="module")
def seen(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset whose val is what was learned, so that the fp32 model is good at it."""
    dataset = tmp_path_factory.mktemp("seen") / "dataset"
    shutil.copytree(squares, dataset)
    shutil.copyfile(dataset / "train.json", dataset / "val.json")
    return dataset


def blacken(dataset: Path, pictures: list[Path]) -> None:
    """Make train pictures black; those of val, which are the same, stay."""
    table = json.loads((dataset / "train.json").read_text())
    (dataset / "images" / "black").mkdir()
    for image in table["images"]:
        path = dataset / "images" / image["file_name"]
        if path in pictures:
            image["file_name"] = f"black/{path.name}"
            Image.new("RGB", (image["width"], image["height"])).save(path.parent / "black" / path.name)
    (dataset / "train.json").write_text(json.dumps(table))


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tiny: tuple[Any, Path], seen: Path, tmp_path: Path) -> Run:
    """The stage's work on the tiny detector, with a fault planted in its graph or in its data."""

    def quantize(
        graph: Callable[[Path], object] = lambda path: None,
        dataset: Path = seen,
        **settings: Any,
    ) -> dict[str, Any]:
        source, out, aside = (tmp_path / name for name in ("source", "out", "aside"))
        shutil.copytree(tiny[1], source)
        graph(source / "detector.onnx")
        onnx_session.seal(source)
        out.mkdir()
        aside.mkdir()
        quantized = {"rescue": CLOSE, "max_loss": 0.1} | settings
        params = detection_tiny.settings(model={"backbone": "cnn"}, quantize=quantized)
        return stage.rescued(stage.Job("detection", "int8", source, dataset, params, 7, aside, 1), out)

    return quantize


def test_nothing_is_tried_where_nothing_is_lost(run: Run) -> None:
    assert "rescue" not in run(rescue=0.1)


def test_an_outlier_channel(run: Run) -> None:
    """It is mended, and no layer is in float."""
    notes = run(planted.outlier_channel)
    first, second = notes["rescue"]["tried"]
    assert first["loss"] > 0.1 and notes["loss"] <= CLOSE
    assert second["chosen"] and second["how"] == "channels equalised in 1 place" and not notes["rescue"]["kept"]


@pytest.mark.slow
def test_an_outlier_channel_that_cannot_be_equalised(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equalisation, "equalise", lambda source, target, feeds: [])
    notes = run(planted.outlier_channel)
    assert notes["rescue"]["tried"][0]["loss"] > 0.1 and notes["loss"] <= CLOSE
    assert any("reach less than 1/16 as far as channel 0" in each["why"] for each in notes["rescue"]["kept"])


def test_one_scale_over_boxes_and_scores(run: Run) -> None:
    notes = run(lambda path: planted.one_scale(path, {"stack_3": 4, "sqrt": 2}))
    assert notes["rescue"]["tried"][0]["loss"] > 2 * CLOSE and notes["loss"] <= CLOSE
    assert "planted" in {each["layer"] for each in notes["rescue"]["kept"]}


def test_one_black_calibration_picture(run: Run, seen: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "black"
    shutil.copytree(seen, dataset)
    train = inputs(dataset, "train")
    blacken(dataset, [train[sample(len(train), 1, 7)[0]]])
    notes = run(dataset=dataset, calibration=1)
    assert notes["rescue"]["tried"][0]["loss"] > 0.1 and notes["loss"] <= CLOSE
    assert not notes["rescue"]["kept"]


@pytest.mark.slow
def test_what_nothing_helps_against_is_refused(run: Run, seen: Path, tmp_path: Path) -> None:
    """All pictures to calibrate with are black."""
    dataset = tmp_path / "black"
    shutil.copytree(seen, dataset)
    blacken(dataset, inputs(dataset, "train"))
    with pytest.raises(ModelError, match=r"collapses: .* other ways were tried, and none lost little enough"):
        run(dataset=dataset)
