"""Role `graphs` of tasks whose network makes one output of a window of numbers: one ONNX graph, units as in the data.

`history` float32 (batch, window, values), of which the batch alone is free -> `told` (batch, ...). Of an architecture it
reads `task`, `graph` (the file's name), `layout`, and `about`: what else `model.json` says.
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


def graphs(model: nn.Module, arch: dict[str, Any], params: Any) -> list[Graph]:
    """See `core.task.Graphs`."""
    plan = arch["layout"]
    example = torch.randn(2, plan["window"], len(plan["values"]), generator=torch.Generator().manual_seed(0))
    return [Graph(arch["graph"], model.eval(), {"history": example}, ["told"], {"history": {0: "batch"}})]


def describe(folder: Path, arch: dict[str, Any], assets: dict[str, bytes], params: Any) -> None:
    """Write `model.json`: what `Predictor` needs beside the graph."""
    name, plan = f"{arch['graph']}.onnx", arch["layout"]
    (told,) = session(folder / name, threads=1).get_outputs()
    shape = ["batch", plan["window"], len(plan["values"])]
    write_json(
        folder / "model.json",
        {
            "task": arch["task"],
            "format": FORMAT,
            "graphs": [name],
            "inputs": {"history": {"dtype": "float32", "shape": shape}},
            "outputs": {"told": {"dtype": "float32", "shape": ["batch", *told.shape[1:]]}},
            "limits": {"window": plan["window"], "horizon": plan["horizon"]},
            "layout": plan,
            **arch["about"],
        },
    )


def parity(model: nn.Module, folder: Path, dataset: Path, params: Any) -> dict[str, float]:
    """Largest difference between torch and ONNX Runtime on windows of `val`, over the largest number that torch gives."""
    windows = Windows(dataset, "val")
    batch = np.stack([windows.history(i) for i in range(min(len(windows), params.export.samples))])
    with torch.no_grad():
        ours = model.eval()(torch.from_numpy(batch)).numpy()
    (found,) = session(next(folder.glob("*.onnx")), threads=1).run(["told"], {"history": batch})
    return {"told": float(np.abs(ours - found).max() / max(1.0, np.abs(ours).max()))}
