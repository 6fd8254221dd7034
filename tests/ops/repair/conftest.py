"""Small DVC repositories, and what an undisturbed run makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc_repository import Repository, Server, make, serving

from ops import repair


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def server(scratch: Path) -> Iterator[Server]:
    with serving(scratch) as running:
        yield running


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Repository:
    return make(tmp_path_factory.mktemp("base") / "repository", server)


@pytest.fixture(scope="session")
def control(tmp_path_factory: pytest.TempPathFactory, base: Repository) -> Repository:
    """The same after an undisturbed `dvc repro`."""
    repository = base.copy(tmp_path_factory.mktemp("control") / "repository")
    assert repository.dvc("repro").code == 0
    return repository


@pytest.fixture
def fresh(base: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A copy, as the working directory."""
    copy = base.copy(tmp_path / "repository")
    monkeypatch.chdir(copy.folder)
    return copy


@pytest.fixture
def repository(fresh: Repository) -> Repository:
    """The same with dvc.lock kept."""
    repair.keep()
    return fresh
