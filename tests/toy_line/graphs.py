"""Role `graphs`: one graph, x -> y."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tasks.toy_line import predict
from torch import nn

from core import onnx_session
from core.files import write_json
from core.task import Graph


def graphs(model: nn.Module, arch: dict[str, Any], params: Any) -> list[Graph]:
    return [Graph("line", model, {"x": torch.zeros(2, 1)}, ["y"], {"x": {0: "batch"}})]


def describe(folder: Path, arch: dict[str, Any], assets: dict[str, bytes], params: Any) -> None:
    number = {"dtype": "float32", "shape": ["batch", 1]}
    info = {
        "task": "toy_line",
        "format": 1,
        "limits": {"digits": 12},
        "inputs": {"x": number},
        "outputs": {"y": number},
    }
    write_json(folder / "model.json", info)


def parity(model: nn.Module, folder: Path, dataset: Path, params: Any) -> dict[str, float]:
    x = np.array([[float(text)] for text in predict.inputs(dataset, "val", params.export.samples)], np.float32)
    (found,) = onnx_session.session(folder / "line.onnx").run(None, {"x": x})
    with torch.no_grad():
        return {"y": float(np.abs(model(torch.from_numpy(x)).numpy() - found).max())}
