"""Downloads from a real HTTP server that drops, redirects, refuses, or is not where it seems to be."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sources import NOISE, Server, source, zipped

from core.errors import SourceError, UnreachableError
from ops import ingest

pytestmark = pytest.mark.usefixtures("folder")


def test_a_wrong_sha256_is_refused_naming_both(server: Server) -> None:
    """docs/faults.md 39."""
    content = zipped({"a": b"b"})
    with pytest.raises(SourceError, match=f"sha256 is {hashlib.sha256(content).hexdigest()}.*expects {'0' * 64}"):
        ingest.fetch(server.offer("data.zip", content, sha256="0" * 64), "t")


def test_a_dropped_download_goes_on_where_it_stopped(server: Server) -> None:
    """docs/faults.md 40."""
    content = zipped(NOISE)
    server.drops = 2
    ingest.fetch(server.offer("data.zip", content), "t")
    assert len(server.ranges) == 2
    assert all(int(asked.removeprefix("bytes=").rstrip("-")) > 0 for asked in server.ranges)


def test_a_server_that_keeps_dropping_leaves_a_partial_file(server: Server) -> None:
    params = server.offer("data.zip", zipped(NOISE))
    server.drops = 5
    with pytest.raises(UnreachableError, match="run the same command again"):  # a stage is tried again then
        ingest.fetch(params, "t")
    assert list(Path(".stillhouse/downloads").glob("*.download"))
    ingest.fetch(params, "t")


def test_a_busy_server_is_asked_again(server: Server) -> None:
    params = server.offer("data.zip", zipped({"a": b"one"}))
    server.statuses = [429, 503]
    assert (ingest.fetch(params, "t") / "a").read_bytes() == b"one"


def test_a_missing_page_says_so_at_once(server: Server) -> None:
    with pytest.raises(SourceError, match="404"):
        ingest.fetch(source(server.url("none.zip"), sha256="0" * 64), "t")


def test_a_redirect_to_a_file_is_refused(server: Server) -> None:
    with pytest.raises(SourceError, match="not http"):
        ingest.fetch(source(server.url("moved"), sha256="0" * 64), "t")


@pytest.mark.parametrize(
    "url", ["http://example.org:99999/a.zip", "http://[::1/a.zip", "http:///a.zip", f"http://{'a' * 70}.org/a.zip"]
)
def test_a_url_that_is_none_is_named(url: str) -> None:
    with pytest.raises(SourceError, match=r"data\.source"):
        ingest.fetch(source(url, sha256="0" * 64, allow_private=False), "t")


def test_a_private_address_is_refused_unless_allowed(server: Server) -> None:
    """docs/faults.md 38."""
    with pytest.raises(SourceError, match=r"private address 127\.0\.0\.1"):
        ingest.fetch(server.offer("data.zip", zipped({"a": b"b"}), allow_private=False), "t")


def test_whom_the_connection_reached_is_checked_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/faults.md 38: a name that resolves to a public address for the check, and to a private one afterwards."""
    params = server.offer("data.zip", zipped({"a": b"one"})).model_copy(update={"allow_private": False})
    monkeypatch.setattr("ops.ingest.download.refuse_private", lambda url, proxied: None)
    with pytest.raises(SourceError, match=r"private address 127\.0\.0\.1"):
        ingest.fetch(params, "t")
    assert not list(Path(".stillhouse/downloads").glob("*.download"))


def test_behind_a_proxy_the_proxy_finds_the_host(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    params = server.offer("data.zip", zipped({"a": b"one"}))
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    outside = params.model_copy(update={"source": "http://nowhere.invalid/data.zip", "allow_private": False})
    assert (ingest.fetch(outside, "t") / "a").read_bytes() == b"one"
