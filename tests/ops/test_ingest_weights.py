"""Files of initial weights: from a path, from a real HTTP server; what is refused, and by which words."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from sources import Server

from core.errors import SourceError, UnreachableError
from core.params import ModelParams
from ops.ingest import weights

CONTENT = b"weights of a model"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(folder: Path) -> Path:
    path = folder / "base.safetensors"
    path.write_bytes(CONTENT)
    return path


def model(place: Path | str, sha256: str | None = None) -> ModelParams:
    return ModelParams(weights=str(place), weights_sha256=sha256)


@pytest.mark.parametrize("expected", [None, DIGEST])
def test_a_path_gives_the_file_and_its_digest(file: Path, expected: str | None) -> None:
    assert weights.fetch(model(file, expected), "t") == (file, DIGEST)


def test_a_url_is_fetched_once_and_kept(server: Server) -> None:
    server.offer("base.safetensors", CONTENT)
    asked = model(server.url("base.safetensors"), DIGEST)
    first, digest = weights.fetch(asked, "t", allow_private=True)
    assert first.read_bytes() == CONTENT and digest == DIGEST
    assert weights.fetch(asked, "t", allow_private=True)[0] == first
    assert server.asked == 1


def test_another_content_than_was_pinned_is_refused(server: Server, file: Path) -> None:
    server.offer("base.safetensors", b"other weights")
    for place in (server.url("base.safetensors"), file):
        with pytest.raises(
            SourceError, match=r"^t\.model\.weights '.*base.safetensors': sha256 is .*params.yaml expects"
        ):
            weights.fetch(model(place, "0" * 64), "t", allow_private=True)


def test_a_private_address_is_refused_unless_allowed(server: Server) -> None:
    """docs/faults.md 38."""
    server.offer("base.safetensors", CONTENT)
    with pytest.raises(SourceError, match=r"private address 127\.0\.0\.1; set data.allow_private: true"):
        weights.fetch(model(server.url("base.safetensors"), DIGEST), "t")
    assert server.asked == 0


def test_a_lost_server_is_told_as_one_that_may_come_back(server: Server) -> None:
    server.statuses = [503] * 10
    with pytest.raises(UnreachableError, match=r"^t\.model\.weights"):
        weights.fetch(model(server.url("base.safetensors"), DIGEST), "t", allow_private=True)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("absent.pt", "there is no such file; mend the path"),
        (".", "this is a folder; name the file in it"),
        ("models/t/base/checkpoint/weights.safetensors", "the pipeline itself writes this file"),
    ],
)
def test_what_is_no_file_of_its_own_is_refused(folder: Path, place: str, says: str) -> None:
    made: Any = folder / "models/t/base/checkpoint/weights.safetensors"
    made.parent.mkdir(parents=True)
    made.write_bytes(CONTENT)
    with pytest.raises(SourceError, match=says):
        weights.fetch(model(place), "t")
