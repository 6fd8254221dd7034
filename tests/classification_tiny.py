"""A tiny canonical dataset of pictures with one bright edge, and settings of a tiny classifier, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core import params
from core.files import write_json
from tasks.classification.params import Params

CATEGORIES = [{"id": 2, "name": "left"}, {"id": 5, "name": "right"}, {"id": 7, "name": "top"}]
PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"


def edges(folder: Path, several: bool = False) -> Path:
    """Splits of 24, 12 and 9 pictures 20 x 16 with a bright edge, or, with `several`, none to three of them."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(3)
    number = 0
    for split, count in (("train", 24), ("val", 12), ("test", 9)):
        images, annotations = [], []
        for i in range(count):
            number += 1
            pixels = rng.integers(0, 110, (16, 20, 3)).astype(np.uint8)
            for k in [k for k in range(3) if i % 8 >> k & 1] if several else [i % 3]:
                pixels[(slice(None), slice(None), slice(0, 4))[k], (slice(0, 4), slice(16, 20), slice(None))[k]] = 250
                annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": CATEGORIES[k]["id"]})
            name = f"{split}_{i}.png"
            Image.fromarray(pixels).save(folder / "images" / name)
            origin = {"source_file": name, "source_row": 1}
            images.append({"id": number, "file_name": name, "width": 20, "height": 16, **origin})
        content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
        write_json(folder / f"{split}.json", content)
    return folder


def settings(**changes: Any) -> Params:
    """Those of params.yaml, of a tiny network; changes: sections, of which these keys differ; without any
    keys an empty one."""
    values = params.read(PARAMS)["classification"]
    tiny: dict[str, Any] = {
        "model": {"backbone": {"name": "cnn", "widths": [8, 16]}, "image_size": [16, 20], "dropout": 0.0},
        "train": {"batch_size": 8},
        "quantize": {"calibration": 8},
    }
    for section, keys in [*tiny.items(), *changes.items()]:
        values[section] = keys and values[section] | keys
    return Params.model_validate(values)


def trained(dataset: Path, made: Params, epochs: int = 12) -> tuple[Any, Any]:
    """A network, and the loaders that it learnt from."""
    import torch

    from modalities.images import data
    from tasks.classification import model

    torch.manual_seed(1)
    loaders = data.loaders(dataset, dataset, made, 7, None)
    network = model.build(model.architecture(made, loaders.assets))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(epochs):
        for batch in loaders.train:
            model.loss(network, batch, made)["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
    return network.eval(), loaders


def export(folder: Path, network: Any, made: Params) -> Path:
    """The network's fp32 model folder."""
    from modalities.images import graphs
    from stages.export import write_graph

    folder.mkdir(parents=True, exist_ok=True)
    for graph in graphs.graphs(network, network.arch, made):
        write_graph(graph, folder / f"{graph.name}.onnx", 18)
    graphs.describe(folder, network.arch, {}, made)
    return folder
