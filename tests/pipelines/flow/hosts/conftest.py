"""A site of hosts for each test; the Prefect server is that of the flow's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect_server import PrefectServer
from site_of_hosts import Site
from warm import Warm


@pytest.fixture
def site(tmp_path: Path, prefect: PrefectServer, warm: Warm) -> Iterator[Site]:
    made = Site(tmp_path / f"site-{tmp_path.name.lower()}"[:40], prefect, warm)
    made.folder.mkdir()
    try:
        yield made
    finally:
        made.close()
