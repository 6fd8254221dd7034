"""A tiny dataset of forecasts, and a linear forecaster that was exported once for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import series_tiny as tiny


@pytest.fixture(scope="session")
def seasons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.seasons(tmp_path_factory.mktemp("series"))


@pytest.fixture(scope="session")
def exported(seasons: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder; its network forecasts what it was drawn as."""
    import torch

    from modalities.series import data
    from tasks.series import model

    made: Any = tiny.settings(model={"arch": "linear"}, prune=None)
    torch.manual_seed(2)
    assets = data.loaders(seasons, seasons, made, 7, None).assets
    network = model.build(model.architecture(made, assets))
    return tiny.export(tmp_path_factory.mktemp("linear") / "model", network, assets, made)
