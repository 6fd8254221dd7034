"""Exported folders in every precision say what torch says, with calibrated probabilities; requests; golden samples."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import classification_tiny as tiny
import numpy as np
import pytest
import torch

from core.errors import DataError, ModelError
from core.files import read_json, write_json
from modalities.images import graphs, quantize
from stages import quantize as stage
from tasks.classification import model, predict, serve
from tasks.classification.predict import Predictor, inputs

LIMITS = {"items": 4, "pixels": 20_000, "characters": 100}


def test_the_graph_computes_what_the_network_does(trained: Any, exported: Path, edges: Path) -> None:
    differences = graphs.parity(trained[0], exported, edges, tiny.settings())
    assert set(differences) == {"logits", "cam"} and max(differences.values()) < 1e-4


def test_predictions_are_those_of_training(trained: Any, exported: Path, edges: Path) -> None:
    net, loaders = trained
    batch = next(iter(loaders.val))
    paths = inputs(edges, "val")
    ours = model.predictions(net, batch, {})
    theirs = Predictor(exported, threads=1)([paths[i] for i in batch["positions"]])
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["label"] == other["label"]
        assert mine["probability"] == pytest.approx(other["probability"], abs=1e-5)
        assert sum(entry["probability"] for entry in other["classes"]) == pytest.approx(1.0)
        assert np.array(other["cam"]).shape == (4, 5)
    json.dumps(theirs)


def test_one_by_one_by_fixed_shapes(exported: Path, edges: Path) -> None:
    single, paths = Predictor(exported, threads=1, single=True), inputs(edges, "val")
    assert single.session.get_inputs()[0].shape[0] == 1
    for found, wanted in zip(single(paths), Predictor(exported, threads=1)(paths), strict=True):
        assert found["label"] == wanted["label"]
        assert found["probability"] == pytest.approx(wanted["probability"], abs=1e-5)
        np.testing.assert_allclose(found["cam"], wanted["cam"], atol=2e-3)  # rounded to thousandths


@pytest.mark.parametrize(
    ("backbone", "colour"), [({"name": "mlp", "widths": [32, 16]}, "grey"), ({"name": "cnn", "widths": [8, 16]}, "rgb")]
)
@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_smaller_precisions_stay_close(edges: Path, tmp_path: Path, backbone: Any, colour: str, precision: str) -> None:
    made = tiny.settings(model={"backbone": backbone, "colour": colour})
    net, _ = tiny.trained(edges, made)
    source = tiny.export(tmp_path / "fp32", net, made)
    (tmp_path / precision).mkdir()
    quantize.quantize(source, tmp_path / precision, precision, edges, made, 7)
    paths = inputs(edges, "test")
    full, small = (Predictor(folder, threads=1)(paths) for folder in (source, tmp_path / precision))
    assert [one["label"] for one in full] == [one["label"] for one in small]
    assert [one["probability"] for one in full] == pytest.approx([one["probability"] for one in small], abs=0.08)
    assert ("cam" in full[0]) == (backbone["name"] == "cnn")
    if precision == "int8":
        assert b"QuantizeLinear" in (tmp_path / precision / "classifier.onnx").read_bytes()


def test_each_folder_gets_its_own_temperature(exported: Path, edges: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    before = Predictor(folder, threads=1)(inputs(edges, "val"))
    found = predict.calibrate(folder, edges, tiny.settings())["temperature"]
    assert read_json(folder / "model.json")["temperature"] == found != 1.0
    after = Predictor(folder, threads=1)(inputs(edges, "val"))
    assert [one["label"] for one in before] == [one["label"] for one in after]
    assert before[0]["probability"] != after[0]["probability"]


def test_the_stage_quantize_looks_for_a_collapse(exported: Path, edges: Path) -> None:
    quality = stage.quality("classification", exported, edges, tiny.settings(), 7, 1)
    assert 0.9 <= quality <= 1.0


def test_a_folder_that_is_no_classifier_is_told(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.json does not exist"):
        Predictor(tmp_path)
    values = read_json(exported / "model.json")
    write_json(tmp_path / "model.json", {key: values[key] for key in values if key != "temperature"})
    with pytest.raises(ModelError, match="lacks"):
        Predictor(tmp_path)


@pytest.fixture(scope="module")
def predictor(exported: Path) -> Predictor:
    return Predictor(exported, threads=1)


def request(file: bytes, **options: Any) -> serve.Request:
    return serve.Request.model_validate({"image": base64.b64encode(file).decode(), **options})


def answered(predictor: Predictor, file: bytes, **options: Any) -> dict[str, Any]:
    job = serve.plain(request(file, **options), predictor, LIMITS)
    values = serve.answer(job, serve.run(predictor, job.items, job.options))
    return serve.Response.model_validate(values).model_dump()


def test_a_request_gets_the_top_classes_and_the_heat_when_asked(predictor: Predictor, edges: Path) -> None:
    path = inputs(edges, "val")[0]
    (expected,) = predictor([path])
    plain = answered(predictor, path.read_bytes(), top=2)
    assert (plain["width"], plain["height"], plain["heat"]) == (20, 16, None)
    assert plain["classes"] == expected["classes"][:2]
    heat = np.array(answered(predictor, path.read_bytes(), explain=True)["heat"])
    assert heat.shape == (4, 5) and heat.min() >= 0 and heat.max() == 1


def test_a_form_says_yes_and_no_as_text(edges: Path) -> None:
    file = inputs(edges, "val")[0].read_bytes()
    form = {"image": file, "explain": "true", "top": "3"}
    made = serve.Request.model_validate(form)
    assert (made.explain, made.top) == (True, 3)
    with pytest.raises(ValueError, match="explain: expected true or false, found 'perhaps'"):
        serve.Request.model_validate(form | {"explain": "perhaps"})


def test_tensors_give_all_probabilities(predictor: Predictor, edges: Path) -> None:
    files = [path.read_bytes() for path in inputs(edges, "val")[:3]]
    job = serve.tensors({"image": np.array(files, object)}, {}, predictor, LIMITS)
    outputs = serve.outputs(job, serve.run(predictor, job.items, job.options))
    assert [outputs[tensor.name].shape[0] for tensor in serve.OUTPUTS] == [3, 3, 3]
    assert outputs["probabilities"].sum(1) == pytest.approx(np.ones(3), abs=1e-6)
    assert [name.decode() for name in outputs["labels"]] == [one["label"] for one in predictor(files)]
    pixels = np.zeros((2, 16, 20, 3), np.uint8)
    job = serve.tensors({"pixels": pixels}, {}, predictor, LIMITS)
    assert len(serve.run(predictor, job.items, job.options)) == 2
    with pytest.raises(DataError, match="either 'image' or 'pixels'"):
        serve.tensors({}, {}, predictor, LIMITS)
    with pytest.raises(DataError, match="cannot be read as an image"):
        serve.tensors({"image": np.array([b"no image"], object)}, {}, predictor, LIMITS)


def test_golden_samples_differ_beyond_rounding_only(predictor: Predictor, edges: Path) -> None:
    (found,) = predictor(inputs(edges, "val", 1))
    assert serve.differs(found, found) is None
    near = {**found, "classes": [e | {"probability": e["probability"] * 0.995} for e in found["classes"]]}
    assert serve.differs(found, near) is None
    far = {**found, "classes": [e | {"probability": 0.5} for e in found["classes"]]}
    assert "has the probability 0.5000" in str(serve.differs(found, far))


def test_drift_is_told_by_figures_of_the_whole_image(predictor: Predictor, edges: Path) -> None:
    path = inputs(edges, "val")[0]
    job = serve.plain(request(path.read_bytes()), predictor, LIMITS)
    assert serve.features(serve.item(path)) == serve.features(job.items[0])
    assert serve.size(job.items[0]) == 3 * 16 * 20
    assert serve.about(predictor)["classes"] == tiny.CATEGORIES


def test_grey_is_the_luma_of_the_picture(edges: Path, tmp_path: Path) -> None:
    made = tiny.settings(model={"colour": "grey"})
    net, loaders = tiny.trained(edges, made, epochs=1)
    batch = next(iter(loaders.val))
    predictor = Predictor(tiny.export(tmp_path, net, made), threads=1)
    path = inputs(edges, "val")[batch["positions"][0]]
    from PIL import Image

    grey = predictor.picture(np.asarray(Image.open(path)))
    assert np.array_equal(grey, batch["images"][0].numpy().astype(np.uint8))
    assert np.array_equal(grey[0], np.asarray(Image.open(path).convert("L")))
    assert torch.is_tensor(batch["images"]) and batch["images"].shape[1] == 1
