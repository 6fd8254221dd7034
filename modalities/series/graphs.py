"""Role `graphs` of tasks whose network makes one output of a window of numbers: one ONNX graph, in units of the data.

`history` float32 (batch, window, values), of which the batch alone is free -> `told` (batch, ...). Of an architecture
it reads `task`, `layout`, and `about`: what else `model.json` says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from core.files import write_json
from core.onnx_session import session
from core.task import Graph
from modalities.series.inputs.windows import Windows

FORMAT = 1
NAME = "network"


def graphs(model: nn.Module, arch: dict[str, Any], params: Any) -> list[Graph]:
    """See `core.task.Graphs`."""
    plan = arch["layout"]
    example = torch.linspace(-1, 1, 2 * plan["window"] * len(plan["values"])).view(2, plan["window"], -1)
    return [Graph(NAME, model.eval(), {"history": example}, ["told"], {"history": {0: "batch"}})]


def describe(folder: Path, arch: dict[str, Any], assets: dict[str, bytes], params: Any) -> None:
    """Write `model.json`: what `Predictor` needs beside the graph."""
    plan, file = arch["layout"], f"{NAME}.onnx"
    opened = session(folder / file, threads=1)
    shapes = {node.name: ["batch", *node.shape[1:]] for node in (*opened.get_inputs(), *opened.get_outputs())}
    written = {name: {"dtype": "float32", "shape": shape} for name, shape in shapes.items()}
    told = {"inputs": {"history": written["history"]}, "outputs": {"told": written["told"]}, "layout": plan}
    limits = {"window": plan["window"], "horizon": plan["horizon"]}
    head = {"task": arch["task"], "format": FORMAT, "graphs": [file], "limits": limits}
    write_json(folder / "model.json", head | told | arch["about"])


def parity(model: nn.Module, folder: Path, dataset: Path, params: Any) -> dict[str, float]:
    """Largest difference between torch and ONNX Runtime on windows of `val`, over the largest number of torch's."""
    windows = Windows(dataset, "val")
    batch = np.stack([windows.history(i) for i in range(min(len(windows), params.export.samples))])
    with torch.no_grad():
        ours = model.eval()(torch.from_numpy(batch)).numpy()
    (found,) = session(folder / f"{NAME}.onnx", threads=1).run(["told"], {"history": batch})
    return {"told": float(np.abs(ours - found).max() / max(1.0, np.abs(ours).max()))}
