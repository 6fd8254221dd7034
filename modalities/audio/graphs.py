"""Role `graphs` of tasks on sound: one ONNX graph, raw samples in, the front end inside.

`samples` float32 (batch, samples) and `lengths` int64 (batch,) -> `logits`, or `log_probs` and `frames`, as
`target` says. Of an architecture it reads `task`, `graph` (the file's name without its ending), `target`, `units`,
`symbols`, `features`, `body`, `least` and `step` (see `told` of the task's model); the network has `front`.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.files import write_json
from core.onnx_session import session
from core.task import Graph
from modalities.audio.backbones.operators import exported
from modalities.audio.inputs import canonical
from modalities.audio.inputs.said import padded

FORMAT, BATCH = 1, 2
"""The form of `model.json`, and recordings that are compared together."""


class Outputs(nn.Module):
    """The network with its outputs in order."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        given = self.network(samples, lengths)
        return (given.logits,) if given.logits.ndim == 2 else (given.logits, given.frames)


def names(arch: dict[str, Any]) -> list[str]:
    return ["logits"] if arch["target"] == "class" else ["log_probs", "frames"]


def graphs(model: nn.Module, arch: dict[str, Any], params: Any) -> list[Graph]:
    """The network; see the module."""
    length = model.front.length + 50 * model.front.hop + 3
    inputs = {"samples": torch.zeros(BATCH, length), "lengths": torch.tensor([length, length - model.front.hop])}
    dynamic = {"samples": {0: "batch", 1: "time"}, "lengths": {0: "batch"}}
    network = copy.deepcopy(model)
    network.body = exported(network.body)
    return [Graph(arch["graph"], Outputs(network).eval(), inputs, names(arch), dynamic)]


def describe(folder: Path, arch: dict[str, Any], assets: dict[str, bytes], params: Any) -> None:
    """Write `model.json`: what `Predictor` needs beside the graph."""
    graph = f"{arch['graph']}.onnx"
    opened = session(folder / graph, threads=1)
    kinds = {"tensor(float)": "float32", "tensor(int64)": "int64"}
    told = [
        {node.name: {"dtype": kinds[node.type], "shape": list(node.shape)} for node in nodes}
        for nodes in (opened.get_inputs(), opened.get_outputs())
    ]
    features, body = arch["features"], arch["body"]
    write_json(
        folder / "model.json",
        {
            "task": arch["task"],
            "format": FORMAT,
            "graphs": [graph],
            "inputs": told[0],
            "outputs": told[1],
            "limits": {"symbols": len(arch["symbols"]), "rate": features["rate"]},
            "rate": features["rate"],
            "least": arch["least"],
            "step": arch["step"],
            "target": arch["target"],
            "units": arch["units"],
            "symbols": arch["symbols"],
            "beam": params.export.decode.beam,
            "features": {key: value for key, value in features.items() if key != "rate"},
            "body": body["arch"],
        },
    )


def parity(model: nn.Module, folder: Path, dataset: Path, params: Any) -> dict[str, float]:
    """Largest difference between torch and ONNX Runtime in each output, on recordings of the validation split."""
    arch: dict[str, Any] = model.arch
    rows = canonical.rows(dataset, "val")[: params.export.samples]
    every = [canonical.samples(dataset, row, params.data.rate) for row in rows]
    opened, network = session(folder / f"{arch['graph']}.onnx", threads=1), Outputs(model).eval()
    largest = dict.fromkeys(names(arch), 0.0)
    for first in range(0, len(every), BATCH):
        fed = padded(every[first : first + BATCH], arch["least"])
        with torch.no_grad():
            ours = network(*(torch.from_numpy(x) for x in fed.values()))
        for name, mine, other in zip(largest, ours, opened.run(list(largest), fed), strict=True):
            largest[name] = max(largest[name], float(np.abs(mine.numpy() - other).max()))
    return largest
