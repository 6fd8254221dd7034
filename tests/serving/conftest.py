"""Packages and servers for all tests of this folder: a real `python -m serving` on a free port."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import once
import packages_tiny
import pytest
from running import Running


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`detection` and `translation`; not to be changed: see `fresh`."""

    def copies(folder: Path) -> None:
        for make in (packages_tiny.detection, packages_tiny.translation):
            kept = packages_tiny.kept(make)
            shutil.copytree(kept, folder / kept.name)

    root = once.in_run(tmp_path_factory, "packages", copies)
    return {name: root / name for name in ("detection", "translation")}


@pytest.fixture
def fresh(packages: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Copies of packages, to be changed."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(packages[name], tmp_path / name))

    return copy


@pytest.fixture(scope="session")
def server(packages: dict[str, Path]) -> Iterator[Running]:
    """One server of both packages, for tests that leave it as it was."""
    with Running(*map(str, packages.values()), "--grpc-port", "0") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Starts servers of a test's own: `serve(PACKAGE, "--queue", "2", environment={...})`; ended with the test."""
    started: list[Running] = []

    def start(*arguments: str | Path, **options: Any) -> Running:
        """options: of `Running`."""
        started.append(Running(*map(str, arguments), **options).__enter__())
        return started[-1]

    yield start
    for running in started:
        running.__exit__(None, None, None)
