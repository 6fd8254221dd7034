"""Clusters, and flows whose stages are their jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import clusters
import pytest
from clusters import Cluster


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The stand-in, which this process and what it starts find in PATH."""
    made = clusters.fake(tmp_path / "slurm")
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture(scope="session")
def one_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := clusters.missing():
        pytest.skip(reason)
    with clusters.real(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture
def real(one_node: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    for name, value in one_node.variables.items():
        monkeypatch.setenv(name, value)
    return one_node


@pytest.fixture(params=["fake", "real"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Each in turn."""
    found: Cluster = request.getfixturevalue(request.param)
    return found
