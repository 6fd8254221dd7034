"""The predictor on an exported model: kinds of input, batches, limits, and what it refuses."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.errors import DataError, ModelError
from core.onnx_session import session
from tasks.detection.predict import Predictor, inputs

pytestmark = pytest.mark.models


def test_paths_bytes_and_arrays_give_the_same_boxes(tiny: Any, squares: Path) -> None:
    predictor = Predictor(tiny[1], threads=1)
    path = inputs(squares, "val")[0]
    array = np.asarray(Image.open(path).convert("RGB"))
    first, second, third, fourth = predictor([path, str(path), path.read_bytes(), array])
    assert first == second == third == fourth and len(first) > 3
    assert json.loads(json.dumps(first)) == first
    assert set(first[0]) == {"box", "score", "label", "category_id"} and first[0]["category_id"] in (1, 4)


def test_best_first_at_most_max_detections_inside_the_image(tiny: Any, squares: Path) -> None:
    upright = np.asarray(Image.open(inputs(squares, "train")[0]).convert("RGB"))
    assert upright.shape[:2] == (96, 64)
    boxes = Predictor(tiny[1], threads=1)([upright])[0]
    scores = [box["score"] for box in boxes]
    assert scores == sorted(scores, reverse=True) and len(boxes) <= 20
    corners = np.array([box["box"] for box in boxes])
    assert (corners >= 0).all() and (corners[:, 2] <= 64).all() and (corners[:, 3] <= 96).all()


@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_batch_equals_its_images_one_by_one(tiny: Any, squares: Path, count: int) -> None:
    predictor = Predictor(tiny[1], threads=1)
    paths = inputs(squares, "train")[:count]
    together = predictor(paths)
    alone = [predictor([path])[0] for path in paths]
    assert [len(boxes) for boxes in together] == [len(boxes) for boxes in alone]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose([b["score"] for b in one], [b["score"] for b in other], atol=1e-5)


def test_one_by_one_by_fixed_shapes(tiny: Any, squares: Path) -> None:
    """A batch is split: of the graph itself two pictures would be refused."""
    single, paths = Predictor(tiny[1], threads=1, single=True), inputs(squares, "val")
    (given,) = single.session.get_inputs()
    assert given.shape == [1, 3, 64, 96]
    for together, alone in zip(
        single(paths), (Predictor(tiny[1], threads=1)([path])[0] for path in paths), strict=True
    ):
        assert [box["label"] for box in together] == [box["label"] for box in alone] and len(alone) > 3
        for key in ("score", "box"):
            np.testing.assert_allclose([box[key] for box in together], [box[key] for box in alone], rtol=1e-4)
    with pytest.raises(Exception, match="Got: 2 Expected: 1"):
        single.session.run(None, {"images": np.zeros((2, 3, 64, 96), np.float32)})
    with pytest.raises(ModelError, match=r"\['height', 'width'\] are free; expected none beside what is fixed"):
        session(tiny[1] / "detector.onnx", threads=1, fixed={"batch": 1})


def test_score_option_leaves_weak_boxes_out(tiny: Any, squares: Path) -> None:
    path = inputs(squares, "val")[0]
    everything = Predictor(tiny[1], threads=1)([path])[0]
    limit = everything[len(everything) // 2]["score"]
    assert all(box["score"] >= limit for box in Predictor(tiny[1], threads=1, score=limit)([path])[0])
    assert Predictor(tiny[1], threads=1)([]) == []


def test_what_is_no_image_is_refused(tiny: Any, tmp_path: Path) -> None:
    predictor = Predictor(tiny[1], threads=1)
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, "PNG")
    for value, words in (
        (b"not an image", "input 0: these bytes cannot be read as an image"),
        (buffer.getvalue()[:60], "input 0: these bytes cannot be read"),
        (tmp_path / "gone.png", "gone.png does not exist"),
        (np.zeros((8, 8, 3)), r"expected a uint8 array \(height, width, 3\), found float64"),
        (np.zeros((8, 8), np.uint8), "found uint8"),
        (7, "found int"),
    ):
        with pytest.raises(DataError, match=words):
            predictor([value])


def test_a_folder_that_is_no_model_is_refused(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist; expected a model folder"):
        Predictor(tmp_path)
    (tmp_path / "model.json").write_text('{"task": "translation", "format": 1}')
    with pytest.raises(ModelError, match="expected task 'detection'"):
        Predictor(tmp_path)
    shutil.copy(tiny[1] / "model.json", tmp_path)
    (tmp_path / "detector.onnx").write_bytes((tiny[1] / "detector.onnx").read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded by ONNX Runtime"):
        Predictor(tmp_path)
