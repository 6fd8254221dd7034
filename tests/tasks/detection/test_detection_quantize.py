"""int8 and fp16 model folders: smaller, still right, and refused when they collapse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import detection_tiny
import onnx
import pytest
from PIL import Image

from compression.graphs.layers import after_layers
from core.errors import ModelError
from modalities.images import quantize as role
from stages import quantize as stage
from tasks.detection.predict import Predictor, inputs

pytestmark = pytest.mark.models


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_smaller_and_close_to_fp32(tiny: Any, squares: Path, settings: Any, tmp_path: Path, precision: str) -> None:
    notes = role.quantize(tiny[1], tmp_path, precision, squares, settings, 7)
    assert set(notes) == {"how"}
    sizes = [(folder / "detector.onnx").stat().st_size for folder in (tmp_path, tiny[1])]
    assert sizes[0] < 0.65 * sizes[1]
    path = inputs(squares, "test")[0]
    small, full = (Predictor(folder, threads=1)([path])[0] for folder in (tmp_path, tiny[1]))
    assert small[0]["score"] == pytest.approx(full[0]["score"], abs=0.15)
    assert {value.name for value in onnx.load(tmp_path / "detector.onnx").graph.input} == {"images"}


def test_same_seed_same_bytes(tiny: Any, squares: Path, settings: Any, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        role.quantize(tiny[1], tmp_path / name, "int8", squares, settings, 7)
    first, second = ((tmp_path / name / "detector.onnx").read_bytes() for name in ("one", "two"))
    assert first == second


def test_box_arithmetic_stays_float(tiny: Any) -> None:
    graph = onnx.load(tiny[1] / "detector.onnx").graph
    kinds = {node.name: node.op_type for node in graph.node}
    others = {kinds[name] for name in after_layers(graph)}
    assert {"Exp", "Sigmoid", "NonMaxSuppression"} <= others and "Conv" not in others


@pytest.fixture
def blind(tiny: Any, squares: Path, tmp_path: Path) -> Path:
    """A dataset on which the fp32 model is perfect (the truth is what it finds) and whose train images are black."""
    dataset = tmp_path / "blind"
    shutil.copytree(squares, dataset)
    for name in json.loads((dataset / "train.json").read_text())["images"]:
        path = dataset / "images" / name["file_name"]
        Image.new("RGB", Image.open(path).size).save(path)
    truth = json.loads((dataset / "val.json").read_text())
    found = Predictor(tiny[1], threads=1)(inputs(dataset, "val"))
    truth["annotations"] = [
        {"id": 100 * i + k, "image_id": image["id"], "category_id": box["category_id"], "iscrowd": 0}
        | {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
        for i, (image, boxes) in enumerate(zip(truth["images"], found, strict=True))
        for k, box in enumerate(boxes, start=1)
        for x1, y1, x2, y2 in [box["box"]]
    ]
    (dataset / "val.json").write_text(json.dumps(truth))
    return dataset


def test_a_collapse_is_refused(tiny: Any, blind: Path, tmp_path: Path) -> None:
    """Calibrated on black images, int8 has no scale for what real ones hold."""
    settings = detection_tiny.settings(quantize={"rescue": None, "max_loss": 0.1})
    job = stage.Job("detection", "int8", tiny[1], blind, settings, 7, tmp_path, 1)
    with pytest.raises(
        ModelError, match=r"collapses: .* in int8: mAP.* goes from (1|0.9\d+) to 0.*max_loss` allows a loss of 0.1"
    ):
        stage.rescued(job, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert job.look(tiny[1]) > 0.9
