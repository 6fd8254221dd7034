"""A tiny classifier, trained and exported once for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import classification_tiny as tiny
import pytest


@pytest.fixture(scope="session")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.edges(tmp_path_factory.mktemp("tiny") / "edges")


@pytest.fixture(scope="session")
def trained(edges: Path) -> Any:
    """Network and loaders."""
    return tiny.trained(edges, tiny.settings())


@pytest.fixture(scope="session")
def exported(edges: Path, trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.export(tmp_path_factory.mktemp("fp32"), trained[0], tiny.settings())
