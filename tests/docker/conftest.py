"""The images, built once for all tests of this folder, from a copy of the repository with secrets lying about in it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import packages_tiny
import pipeline_copy
import pytest
from built import BASE, PLANTED, STRAY, TAG, Built
from engine import Engine
from engines import choose
from filelock import FileLock

LOCK = Path(tempfile.gettempdir(), "stillhouse-test-images.lock")
"""The engine's storage is one for the machine, and so for all processes of a test run."""


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    found = choose()
    if isinstance(found, str):
        pytest.skip(found)
    return found.make(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="session")
def base(engine: Engine) -> str:
    """A Debian base image; made once for this machine."""
    with FileLock(LOCK):
        engine.run(["sh", str(pipeline_copy.ROOT / "docker" / "base.sh"), BASE])
    return BASE


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean clone, as it were, of what git would track, with secrets beside it as a user's folder has them."""
    copy = pipeline_copy.make(tmp_path_factory.mktemp("tree") / "stillhouse", preset=None)
    for name in STRAY:
        path = copy.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"PASSWORD={PLANTED}\n", encoding="utf-8")
    return copy.folder


@pytest.fixture(scope="session")
def image(engine: Engine, base: str, tree: Path) -> Callable[[str], Built]:
    """`image("serve")`: builds it at the first call."""

    @cache
    def build(name: str) -> Built:
        # pip takes a name that is never asked for; it makes the settings that go into the build recognisable
        secret = {"PIP_TRUSTED_HOST": f"{PLANTED}.invalid"}
        with FileLock(LOCK):
            hot = replace(engine, environment=engine.environment | secret)
            printed = hot.build(tree, name, base, TAG)
        return Built(name, engine.tag(name, TAG), printed)

    return build


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small package for each task, from real training."""
    root = tmp_path_factory.mktemp("made")
    found = {name: getattr(packages_tiny, name)(root) for name in ("detection", "translation")}
    subprocess.run(["chmod", "-R", "a+rX", str(root)], check=True)  # a container reads them as another user
    for parent in (root, *root.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o055)
    return found
