"""Real DVC repositories; what the same stages give when plain DVC runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from repository import Repository

Make = Callable[[Mapping[str, Any]], Repository]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Repositories by their stages, each in a folder of its own."""
    count = 0

    def made(stages: Mapping[str, Any]) -> Repository:
        nonlocal count
        count += 1
        return Repository.create(tmp_path / f"repository{count}", stages)

    return made
