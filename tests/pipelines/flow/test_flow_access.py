"""Who talks to the server of `make flow-ui`: its own checkout, and none that was copied while it ran."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.flow import access

URL = "http://127.0.0.1:4200/api"


def test_a_copied_checkout_does_not_take_the_originals_server_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)
    (tmp_path / "original").mkdir()
    monkeypatch.chdir(tmp_path / "original")
    with access.offered(URL):
        assert access.running() == URL
        assert access.client(URL) == {"PREFECT_API_AUTH_STRING": access.password()}
        shutil.copytree(tmp_path / "original", tmp_path / "copy")
        monkeypatch.chdir(tmp_path / "copy")
        assert access.running() is None
        assert access.client(URL) == {}
        monkeypatch.chdir(tmp_path / "original")
    assert access.running() is None
