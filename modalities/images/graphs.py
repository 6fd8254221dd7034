"""Role `graphs` of tasks whose network gives one row of each output for each picture: one ONNX graph.

`images` float32 (batch, colours, height, width) raw 0-255, of which the batch alone is free -> the outputs by name.

Of an architecture it reads `task`, `graph` (the file's name without its ending), `outputs` (names of fields of what the
network returns), `classes`, `image_size`, `backbone`, and `told`: what else `model.json` says. The network's `backbone`
has its BatchNorm folded.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compression.networks import folding
from core.files import write_json
from core.onnx_session import session
from core.task import Graph
from modalities.images.inputs.decode import FILL, coloured, decode, fit
from modalities.images.predict.pictures import inputs, network_input

FORMAT = 1
BATCH = 2


class Outputs(nn.Module):
    """The network with its outputs in order."""

    def __init__(self, network: nn.Module, names: Sequence[str]):
        super().__init__()
        self.network, self.names = network, tuple(names)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """images: (B, colours, height, width) float, raw 0-255."""
        given = self.network(images)
        return tuple(getattr(given, name) for name in self.names)


def graphs(model: nn.Module, arch: dict[str, Any], params: Any) -> list[Graph]:
    """The network; see the module."""
    network = copy.deepcopy(model).eval()
    network.backbone = folding.fold(network.backbone)
    example = torch.full((BATCH, _colours(arch), *arch["image_size"]), float(FILL))
    names = list(arch["outputs"])
    return [Graph(arch["graph"], Outputs(network, names).eval(), {"images": example}, names, {"images": {0: "batch"}})]


def describe(folder: Path, arch: dict[str, Any], assets: dict[str, bytes], params: Any) -> None:
    """Write `model.json`: what `Predictor` needs beside the graph."""
    graph, colours = f"{arch['graph']}.onnx", _colours(arch)
    shapes = {output.name: output.shape[1:] for output in session(folder / graph, threads=1).get_outputs()}
    write_json(
        folder / "model.json",
        {
            "task": arch["task"],
            "format": FORMAT,
            "graphs": [graph],
            "inputs": {"images": {"dtype": "float32", "shape": ["batch", colours, *arch["image_size"]]}},
            "outputs": {name: {"dtype": "float32", "shape": ["batch", *shapes[name]]} for name in arch["outputs"]},
            "limits": {"classes": len(arch["classes"]), "image_size": arch["image_size"]},
            "image_size": arch["image_size"],
            "colour": f"{'RGB' if colours == 3 else 'grey'} 0-255, normalised inside the graph",
            "padding": {"value": FILL, "where": "right and bottom"},
            "classes": arch["classes"],
            **arch["told"],
        },
    )


def parity(model: nn.Module, folder: Path, dataset: Path, params: Any) -> dict[str, float]:
    """Largest difference between torch and ONNX Runtime in each output, on images of the validation split."""
    arch: dict[str, Any] = model.arch
    names, size = list(arch["outputs"]), (arch["image_size"][0], arch["image_size"][1])
    colour = "grey" if _colours(arch) == 1 else "rgb"
    paths = inputs(dataset, "val", params.export.samples)
    images = [coloured(fit(decode(path), size)[0], colour) for path in paths]
    opened, network = session(folder / f"{arch['graph']}.onnx", threads=1), Outputs(model, names).eval()
    largest = dict.fromkeys(names, 0.0)
    for first in range(0, len(images), BATCH):
        batch = network_input(images[first : first + BATCH])
        with torch.no_grad():
            ours = network(torch.from_numpy(batch))
        for name, mine, other in zip(names, ours, opened.run(names, {"images": batch}), strict=True):
            largest[name] = max(largest[name], float(np.abs(mine.numpy() - other).max()))
    return largest


def _colours(arch: dict[str, Any]) -> int:
    return int(arch["backbone"].get("inputs", 3))
