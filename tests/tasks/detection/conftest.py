"""The tiny dataset, its settings, and a tiny detector, trained and exported once for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import detection_tiny
import pytest
from packages_tiny import one_thread

EPOCHS = 60
"""After which the detector finds what it has seen."""


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detection_tiny.squares(tmp_path_factory.mktemp("tiny") / "squares")


@pytest.fixture(scope="session")
def settings() -> Any:
    """On few layers, which are soon exported; the default backbone's graph is that of `packages_tiny`."""
    return detection_tiny.settings(model={"backbone": "cnn"})


@pytest.fixture(scope="session")
@one_thread()
def tiny(squares: Path, settings: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A detector that has learned its ten pictures, and its exported fp32 model folder."""
    import torch

    from stages.export import write_graph
    from tasks.detection import data, graphs, model

    torch.manual_seed(1)
    loaders = data.loaders(squares, squares, settings, 7, None)
    arch = model.architecture(settings, loaders.assets)
    network = model.build(arch).train()
    optimizer = torch.optim.AdamW(network.parameters(), 0.003)
    for _ in range(EPOCHS):
        for batch in loaders.train:
            optimizer.zero_grad()
            model.loss(network, batch, settings)["loss"].backward()
            optimizer.step()
    folder = tmp_path_factory.mktemp("fp32")
    for graph in graphs.graphs(network.eval(), arch, settings):
        write_graph(graph, folder / f"{graph.name}.onnx", 18)
    graphs.describe(folder, arch, loaders.assets, settings)
    return network, folder
