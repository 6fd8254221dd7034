"""Unpack zip and tar archives; members that would write outside, link, or blow up are refused before any is written."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from core import paths
from core.errors import SourceError
from core.files import replacing

LIMIT_BYTES = 100 * 10**9
LIMIT_FILES = 5_000_000
LIMIT_HEADER = 1 << 20
"""Bytes of one header of a tar, as a long name; a system's own names are below 4 KiB."""
LIMIT_NAME = 4096
"""Characters of a member's name: Linux's PATH_MAX."""
LIMIT_RATIO = 200
"""Unpacked over packed size: real data stays far below, zip bombs reach thousands."""
BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, OSError)
"""What zipfile, tarfile and the decompressors raise for damaged files, and the system for impossible names. The last
but one is what zipfile raises for a compression that it does not know."""
ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
SMALL = 100 * 10**6
"""Below this many unpacked bytes the ratio does not matter: text compresses well."""


@dataclass(frozen=True)
class Member:
    name: str
    size: int
    open: Callable[[], IO[bytes]]


def folder(sha256: str) -> Path:
    """Where the files of an archive lie."""
    return paths.STATE / "downloads" / f"{sha256}.unpacked"


def is_archive(path: Path) -> bool:
    """Whether a file is called a zip or tar archive. One of a single packed file (`.gz`) is none."""
    return path.name.lower().endswith(ENDINGS)


def unpack(archive: Path, sha256: str) -> Path:
    """A new folder with the archive's files. Raises: SourceError naming the member."""
    target = folder(sha256)
    try:
        _unpack(archive, target)
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SourceError(
            f"the archive is damaged or cannot be unpacked: {type(error).__name__}: {error}; make a plain zip "
            "or tar of its files and name that"
        ) from None
    return target


def _unpack(archive: Path, target: Path) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            _write(list(_zip_members(opened)), archive, target)
        return
    with _Headers(archive) as stream:
        try:
            opened_tar = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115 - of the stream, which is closed
        except tarfile.ReadError:
            raise SourceError(f"{archive.name} is neither a zip nor a tar archive (plain, gz, bz2, xz)") from None
        members = list(_tar_members(opened_tar, archive))
        stream.listing = False
        _write(members, archive, target)


def _zip_members(opened: zipfile.ZipFile) -> Iterator[Member]:
    for info in opened.infolist():
        if info.is_dir():
            continue
        if (info.external_attr >> 16) & 0o170000 == 0o120000:
            raise SourceError(f"member {info.filename!r} is a symbolic link; archives with links are refused")
        if info.flag_bits & 1:
            raise SourceError(f"member {info.filename!r} is encrypted")
        yield Member(_safe(info.filename), info.file_size, lambda info=info: opened.open(info))  # type: ignore[misc]


def _tar_members(opened: tarfile.TarFile, archive: Path) -> Iterator[Member]:
    total = 0
    for entries, info in enumerate(opened, start=1):
        if entries > LIMIT_FILES:  # folders, too: each costs memory here, and a place on the disk
            raise SourceError(f"the archive has more than {LIMIT_FILES:,} entries; it is refused")
        if info.isdir():
            continue
        if not info.isfile():
            raise SourceError(f"member {info.name!r} is a link or a device; archives with those are refused")
        total += info.size
        _limit(total, archive)  # while reading: listing a compressed tar unpacks it
        yield Member(_safe(info.name), info.size, lambda info=info: _extract(opened, info))  # type: ignore[misc]


class _Headers(io.RawIOBase):
    """The bytes of a tar, unpacked. While its members are listed, only headers are read, and their size is limited.

    A PAX header or a long name (POSIX.1-2017, pax; GNU tar) may state any size, and tarfile reads it at once.
    """

    def __init__(self, archive: Path):
        super().__init__()
        with archive.open("rb") as file:
            start = file.read(6)
        kinds: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
        opener = next((kind for magic, kind in kinds.items() if start.startswith(magic)), open)
        self._stream: IO[bytes] = opener(archive, "rb")
        self._archive, self._taken = archive, 0
        self.listing = True

    def read(self, size: int = -1, /) -> bytes:
        if self.listing:
            if not 0 <= size <= LIMIT_HEADER:
                raise SourceError(
                    f"a header of the archive states {size:,} bytes, more than {LIMIT_HEADER:,}; it is refused"
                )
            self._taken += size
            _limit(self._taken, self._archive)
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        self._stream.close()
        super().close()


def _extract(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = opened.extractfile(info)
    assert file is not None  # it is a regular file
    return file


def _safe(name: str) -> str:
    if len(name) > LIMIT_NAME:
        raise SourceError(f"the name {name[:60]!r}... has {len(name):,} characters, more than {LIMIT_NAME:,}")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]) or "\0" in name:
        raise SourceError(f"member {name!r} would be written outside the archive's folder; the archive is refused")
    return str(path)


def _write(members: list[Member], archive: Path, into: Path) -> None:
    if len(members) > LIMIT_FILES:
        raise SourceError(f"the archive has {len(members)} files, more than {LIMIT_FILES}")
    _limit(sum(member.size for member in members), archive)
    with replacing(into) as aside:
        for member in members:
            target = aside / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, target.open("wb") as file:
                shutil.copyfileobj(_Bounded(source, member), file, 1 << 20)


def _limit(total: int, archive: Path) -> None:
    packed = max(1, archive.stat().st_size)
    if total > LIMIT_BYTES or (total > SMALL and total / packed > LIMIT_RATIO):
        raise SourceError(
            f"unpacked it would have {total} bytes, {total // packed} times its {packed}: a decompression bomb, refused"
        )


class _Bounded:
    """Reads no more than a member says that it holds: a header may lie."""

    def __init__(self, source: IO[bytes], member: Member):
        self.source, self.member, self.left = source, member, member.size

    def read(self, size: int = -1, /) -> bytes:
        piece = self.source.read(size)
        self.left -= len(piece)
        if self.left < 0:
            raise SourceError(f"member {self.member.name!r} holds more than the {self.member.size} bytes it states")
        return piece
