"""The tiny dataset, its settings, and a tiny untrained detector exported once for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import detection_tiny
import pytest


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detection_tiny.squares(tmp_path_factory.mktemp("tiny") / "squares")


@pytest.fixture(scope="session")
def settings() -> Any:
    """On few layers, which are soon exported; the default backbone's graph is that of `packages_tiny`."""
    return detection_tiny.settings(model={"backbone": "cnn"})


@pytest.fixture(scope="session")
def tiny(squares: Path, settings: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """An untrained detector that finds much, and its exported fp32 model folder."""
    import torch

    from stages.export import write_graph
    from tasks.detection import data, graphs, model

    torch.manual_seed(1)
    assets = data.loaders(squares, squares, settings, 7, None).assets
    arch = model.architecture(settings, assets)
    network = model.build(arch).eval()
    torch.nn.init.normal_(network.class_head.weight, std=0.3)
    torch.nn.init.constant_(network.class_head.bias, -1.0)
    folder = tmp_path_factory.mktemp("fp32")
    for graph in graphs.graphs(network, arch, settings):
        write_graph(graph, folder / f"{graph.name}.onnx", 18)
    graphs.describe(folder, arch, assets, settings)
    return network, folder
