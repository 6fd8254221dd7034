"""Real DVC repositories; what the same stages give when plain DVC runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prefect_server import PrefectServer, empty_database
from repository import Make, Repository
from warm import DVC, PREFECT, Warm


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    with Warm(*DVC, *PREFECT, "pipelines.flow.execution", "pipelines.flow.view", "pipelines.summary") as running:
        yield running


@pytest.fixture
def make(tmp_path: Path, warm: Warm) -> Make:
    """Repositories by their stages, each in a folder of its own."""
    count = 0

    def made(stages: Mapping[str, Any]) -> Repository:
        nonlocal count
        count += 1
        return Repository.create(tmp_path / f"repository{count}", stages, warm)

    return made


@pytest.fixture(scope="session")
def empty(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return empty_database(tmp_path_factory, warm)


@pytest.fixture(scope="session")
def prefect(warm: Warm, empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A real Prefect server process with a database of its own."""
    running = PrefectServer(tmp_path_factory.mktemp("prefect"), warm, empty)
    try:
        yield running
    finally:
        running.stop()
