"""A package of an untrained detector: it finds a box in each image, as wide and as likely as the image is bright."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from core import onnx_session
from core.files import write_json
from evaluation import succession
from ops import passport
from tasks.detection.predict import Predictor

VALUES: dict[str, Any] = {
    "data": {"source": "/data/wheat", "pin": "0" * 64, "prepared": "1" * 32 + ".dir"},
    "code": "2" * 40,
    "params": {"seed": 7, "detection": {"train": {"epochs": 3}}},
    "evaluation": {"test": {"map": 0.5, "interval": [0.4, 0.6]}},
    "environment": {"requirements/train-cpu.lock": "3" * 64},
}
SIZE = 32
FIGURES: dict[str, Any] = {
    **{"variant": "base", "precision": "fp32", "size_mb": 1.0, "latency_ms": 2.0, "test": 0.5, "val": 0.52},
    **{"metric": "map", "title": "mAP@[.5:.95]", "better": "higher", "signature": "COCO", "why": "it is alone"},
    **{"inputs": 4, "seed": 7, "data": ["1" * 32 + ".dir", "4" * 64]},
    "speed": {"value": 1.0, "low": 1.0, "high": 1.0},
    "resamples": {"bootstrap": [0.5, 0.52, 0.54], "jackknife": [0.51, 0.52, 0.53, 0.52]},
}


def make(folder: Path, values: dict[str, Any] = VALUES) -> Path:
    """Write the package into `folder`."""
    for name in ("model", "golden"):
        (folder / name).mkdir(parents=True)
    detector(folder / "model" / "detector.onnx")
    write_json(
        folder / "model" / "model.json",
        {
            "task": "detection",
            "format": 1,
            "image_size": [SIZE, SIZE],
            "classes": [{"id": 1, "name": "bright"}],
            "max_detections": 5,
        },
    )
    links = passport.chained(values)
    passport.stamp(folder / "model", links)
    onnx_session.seal(folder / "model")
    for i, grey in enumerate((40, 200)):
        Image.new("RGB", (50, 20), (grey, grey, grey)).save(folder / "golden" / f"{i}.png")
    files = sorted((folder / "golden").glob("*.png"))
    outputs = Predictor(folder / "model")(files)
    samples = [{"file": path.name, "output": output} for path, output in zip(files, outputs, strict=True)]
    write_json(folder / "golden" / "samples.json", samples)
    write_json(folder / succession.NAME, FIGURES)
    (folder / "MODEL_CARD.md").write_text("# toy\n", encoding="utf-8")
    passport.seal(folder, links)
    return folder


def detector(path: Path) -> None:
    """Inputs and outputs as those of `tasks/detection/graphs.py`."""
    numbers = {"most": 255.0, "side": float(SIZE)}
    constants = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in numbers.items()]
    whole = {"zero": 0, "one": 1, "column": [1]}
    constants += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in whole.items()]
    constants.append(numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"))
    node = helper.make_node
    nodes = [
        node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0),
        node("Div", ["mean", "most"], ["scores"]),
        node("Mul", ["scores", "side"], ["width"]),
        node("Unsqueeze", ["width", "column"], ["right"]),
        node("Sub", ["right", "right"], ["left"]),
        node("Concat", ["left", "left", "right", "right"], ["boxes"], axis=1),
        node("Cast", ["width"], ["whole"], to=TensorProto.INT64),
        node("Sub", ["whole", "whole"], ["labels"]),
        node("Size", ["scores"], ["count"]),
        node("Range", ["zero", "count", "one"], ["owners"]),
    ]
    value = helper.make_tensor_value_info
    kinds = {"boxes": TensorProto.FLOAT, "scores": TensorProto.FLOAT, "labels": TensorProto.INT64}
    outputs = [value(name, kind, ["found", 4] if name == "boxes" else ["found"]) for name, kind in kinds.items()]
    outputs.append(value("owners", TensorProto.INT64, ["found"]))
    images = value("images", TensorProto.FLOAT, ["batch", 3, "height", "width_"])
    graph = helper.make_graph(nodes, "toy", [images], outputs, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(made, str(path))
