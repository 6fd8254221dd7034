"""Sources of every kind, what is kept of them, and fingerprints of local ones."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from sources import NOISE, Server, source, zipped

from core.errors import SourceError
from ops import ingest

pytestmark = pytest.mark.usefixtures("folder")


def test_an_archive_is_fetched_once_and_unpacked(server: Server) -> None:
    params = server.offer("data.zip", zipped({"a/train.en": b"one\n", "a/train.ja": b"ichi\n"}))
    found = ingest.fetch(params, "translation")
    assert (found / "a" / "train.en").read_bytes() == b"one\n"
    server.files.clear()
    assert ingest.fetch(params, "translation") == found


def test_a_changed_cache_is_unpacked_anew_without_a_download(server: Server) -> None:
    params = server.offer("data.zip", zipped({"a": b"one", "b": b"two"}))
    found = ingest.fetch(params, "t")
    (found / "a").write_bytes(b"changed")
    (found / "c").write_bytes(b"added")
    found = ingest.fetch(params, "t")
    assert {path.name: path.read_bytes() for path in found.iterdir()} == {"a": b"one", "b": b"two"}
    assert server.asked == 1


def test_two_tasks_with_one_source_fetch_it_once(server: Server) -> None:
    params = server.offer("data.zip", zipped(NOISE))
    found: list[Path] = []
    twins = [threading.Thread(target=lambda: found.append(ingest.fetch(params, "t"))) for _ in range(4)]
    for twin in twins:
        twin.start()
    for twin in twins:
        twin.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert server.asked == 1


def test_a_missing_path_says_what_is_there(folder: Path) -> None:
    (folder / "wheat").mkdir()
    with pytest.raises(SourceError, match=r"detection\.data\.source.*no such file.*wheat"):
        ingest.fetch(source(str(folder / "weat")), "detection")


def test_a_fingerprint_follows_content_and_names(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    (data / "a").write_text("1")
    before = ingest.fingerprint(data)
    assert ingest.fingerprint(data) == before
    assert before["count"] == 1
    (data / "a").write_text("2")
    changed = ingest.fingerprint(data)
    (data / "a").rename(data / "b")
    assert len({before["digest"], changed["digest"], ingest.fingerprint(data)["digest"]}) == 3


def test_a_fingerprint_follows_links_and_ends_where_they_lead_back(folder: Path) -> None:
    disk, data = folder / "disk", folder / "data"
    disk.mkdir()
    data.mkdir()
    (disk / "a").write_text("1")
    (data / "linked").symlink_to(disk)
    (disk / "back").symlink_to(data)
    before = ingest.fingerprint(data)
    assert before["count"] == 1
    (disk / "a").write_text("2")
    assert ingest.fingerprint(data) != before


@pytest.mark.parametrize("beside", ["train.ja", "images/a.png"])
def test_a_fingerprint_of_one_file_follows_what_is_read_with_it(folder: Path, beside: str) -> None:
    (folder / "images").mkdir()
    (folder / beside).write_text("1")
    named = folder / ("train.en" if beside == "train.ja" else "data.json")
    named.write_text("{}")
    before = ingest.fingerprint(named)
    (folder / beside).write_text("2")
    assert ingest.fingerprint(named) != before


def test_home_and_variables_in_a_path_are_filled_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "data").mkdir()
    monkeypatch.setenv("HOME", str(folder))
    assert [ingest.fetch(source(path), "t") for path in ("~/data", "$HOME/data")] == [folder / "data"] * 2


def test_a_local_archive_is_unpacked(folder: Path) -> None:
    (folder / "data.zip").write_bytes(zipped({"a/train.en": b"one\n"}))
    found = ingest.fetch(source("data.zip"), "translation")
    assert (found / "a" / "train.en").read_bytes() == b"one\n"


def test_a_name_that_is_no_utf8_has_a_fingerprint(folder: Path) -> None:
    """docs/faults.md 113."""
    name = os.fsdecode(b"caf\xe9.txt")
    for content in ("one", "two"):
        (folder / "data").mkdir(exist_ok=True)
        (folder / "data" / name).write_text(content)
        found = ingest.fingerprint(Path("data"))
        assert found["count"] == 1 and found == ingest.fingerprint(Path("data"))
