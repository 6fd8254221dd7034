"""Archives are unpacked, or refused before anything is written."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sources import NOISE, Server, tarred, zipped

from core.errors import SourceError
from ops import ingest
from ops.ingest import archive

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_compressed_tars_are_unpacked(server: Server, mode: str) -> None:
    params = server.offer(f"x.tar.{mode}", tarred({"x.txt": b"abc"}, mode))
    assert (ingest.fetch(params, "t") / "x.txt").read_bytes() == b"abc"


def test_what_is_no_archive_is_refused(server: Server) -> None:
    with pytest.raises(SourceError, match="neither a zip nor a tar"):
        ingest.fetch(server.offer("data.zip", b"hello"), "t")


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


def marked(content: bytes, local: int, central: int, value: int) -> bytes:
    """A zip of one member with a byte of both its headers set (APPNOTE 4.3.7 and 4.3.12)."""
    changed = bytearray(content)
    changed[content.index(b"PK\3\4") + local] = value
    changed[content.index(b"PK\1\2") + central] = value
    return bytes(changed)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (marked(zipped({"a": b"x"}), 6, 8, 1), "member 'a' is encrypted"),
        (
            marked(zipped({"a": b"x"}), 8, 10, 99),
            "cannot be unpacked.*compression method is not supported.*make a plain zip or tar",
        ),
    ],
    ids=["encrypted", "unknown compression"],
)
def test_an_archive_that_cannot_be_read_is_refused(server: Server, content: bytes, why: str) -> None:
    with pytest.raises(SourceError, match=why):
        ingest.fetch(server.offer("data.zip", content), "t")
    assert not list(Path(".stillhouse/downloads").glob("*.unpacked"))


@pytest.mark.parametrize(
    "content",
    [
        tarred(NOISE)[:20_000],
        flipped(zipped(NOISE), 150_000),
        zipped({"a": b"file", "a/b": b"below a file"}),
        zipped({"x" * 300: b"name too long"}),
        zipped({".": b"the folder itself"}),
    ],
    ids=["cut tar", "flipped zip", "file as folder", "long name", "dot"],
)
def test_a_damaged_archive_is_refused_and_leaves_nothing(server: Server, content: bytes) -> None:
    with pytest.raises(SourceError, match="damaged or cannot be unpacked"):
        ingest.fetch(server.offer("data.zip", content), "t")
    assert not list(Path(".stillhouse/downloads").glob("*.unpacked"))
    assert not list(Path(".stillhouse/downloads").glob(".*"))


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside", "..\\outside", "C:/outside"])
def test_an_archive_that_writes_outside_is_refused(server: Server, name: str, folder: Path) -> None:
    """docs/faults.md 35."""
    with pytest.raises(SourceError, match="outside"):
        ingest.fetch(server.offer("data.zip", zipped({"fine": b"", name: b"x"})), "t")
    assert not list(folder.rglob("outside"))
    assert not list(folder.rglob("*.unpacked"))


def test_a_zip_bomb_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/faults.md 36."""
    monkeypatch.setattr(archive, "SMALL", 10**6)
    with pytest.raises(SourceError, match="decompression bomb"):
        ingest.fetch(server.offer("data.zip", zipped({"zeros": bytes(5 * 10**6)})), "t")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(server: Server, kind: bytes) -> None:
    """docs/faults.md 37."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as opened:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        opened.addfile(info)
    with pytest.raises(SourceError, match="link or a device"):
        ingest.fetch(server.offer("data.tar.gz", content.getvalue()), "t")


def test_a_symlink_in_a_zip_is_refused(server: Server) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        opened.writestr(info, "/etc/passwd")
    with pytest.raises(SourceError, match="symbolic link"):
        ingest.fetch(server.offer("data.zip", content.getvalue()), "t")


def headed(kind: bytes, size: int, times: int = 1) -> bytes:
    """A tar whose members each have a header of `size` bytes before theirs."""
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", compresslevel=1) as file:
        for number in range(times):
            header = tarfile.TarInfo("h")
            header.type, header.size = kind, size
            file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(-(-size // 512) * 512))
            file.write(tarfile.TarInfo(f"m{number}").tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(1024))
    return content.getvalue()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_of_any_size_is_not_read(server: Server, kind: bytes) -> None:
    """PAX headers and long names: 100 kB of archive would be 64 MB of memory, or as many as one likes."""
    content = headed(kind, 64 << 20)
    tracemalloc.start()
    with pytest.raises(SourceError, match="a header of the archive states"):
        ingest.fetch(server.offer("data.tar.gz", content), "t")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_many_headers_are_a_bomb(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SMALL", 10**6)
    with pytest.raises(SourceError, match="decompression bomb"):
        ingest.fetch(server.offer("data.tar.gz", headed(tarfile.GNUTYPE_LONGNAME, 500_000, times=9)), "t")


def test_folders_without_end_are_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as opened:
        for number in range(30):
            info = tarfile.TarInfo(f"d{number}")
            info.type = tarfile.DIRTYPE
            opened.addfile(info)
    monkeypatch.setattr(archive, "LIMIT_FILES", 29)
    with pytest.raises(SourceError, match="more than 29 entries"):
        ingest.fetch(server.offer("data.tar", content.getvalue()), "t")


@pytest.mark.parametrize("packed", [tarred, zipped])
def test_names_longer_than_a_path_are_refused(server: Server, packed: Callable[..., bytes]) -> None:
    with pytest.raises(SourceError, match="characters, more than 4,096"):
        ingest.fetch(server.offer("data.bin", packed({"a/" * 3000 + "x": b"deep"})), "t")


def test_long_names_and_pax_headers_of_real_archives_are_read(server: Server) -> None:
    name = "/".join(["folder" * 20] * 8) + "/日本語.txt"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:xz", format=form) as opened:
            info = tarfile.TarInfo(name)
            info.size = 3
            opened.addfile(info, io.BytesIO(b"abc"))
        assert (ingest.fetch(server.offer(f"{form}.tar.xz", content.getvalue()), "t") / name).read_bytes() == b"abc"
