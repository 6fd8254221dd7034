"""Where the pictures of a canonical dataset lie: a file each, or, of a large one, in shards.

    images/a.jpg          up to `FOLDER` pictures
    images/00000.tar      more: a tar of plain files, as WebDataset has them; which one is told by the picture's name

In shards the entry of a picture in `train.json`, `val.json`, `test.json` says where it is: `shard`, `offset` and
`size`, bytes. So these files are the index, one picture is one read, and `tar xf` gives the pictures back. A shard
holds pictures of all splits: which split a picture is drawn for hangs on all others, and shards shall not.
"""

from __future__ import annotations

import io
import math
import os
import shutil
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.parallel import cut

FOLDER = 10_000
"""Pictures up to which each is a file."""
PICTURES, BYTES = 4_096, 256 * 10**6
"""Of a shard, about, at most."""
TOGETHER = 256
"""Pictures that are files of their own, of which a process takes as many at a time."""
PLACE = ("shard", "offset", "size")
"""Keys of a picture's entry that say where it is."""
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)


@dataclass(frozen=True, slots=True)
class Member:
    """A picture in a shard; as much of a `Path` as is asked of pictures."""

    shard: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.shard}: {self.name}"

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    def is_file(self) -> bool:
        return self.shard.is_file()

    def read_bytes(self) -> bytes:
        """Raises: FileNotFoundError without the shard; ValueError for one that ends before the picture does."""
        with self.shard.open("rb", buffering=0) as file:
            data = os.pread(file.fileno(), self.size, self.offset)
        if len(data) < self.size:
            raise ValueError(f"{self.shard} ends within {self.name}: it is damaged")
        return data


Source = Path | Member


def source(dataset: Path, image: dict[str, Any]) -> Source:
    """Where the picture of an entry lies. image: `{"file_name", ...}` of a split's JSON file."""
    if "shard" in image:
        return Member(dataset / "images" / image["shard"], image["file_name"], image["offset"], image["size"])
    return dataset / "images" / image["file_name"]


def size(picture: Source) -> int:
    """Bytes."""
    return picture.size if isinstance(picture, Member) else picture.stat().st_size


def opened(picture: Source | str) -> Any:
    """What Pillow opens: it tells of what is no picture by this one's name."""
    return _Named(picture.read_bytes(), picture.name) if isinstance(picture, Member) else picture


class _Named(io.BytesIO):
    def __init__(self, data: bytes, name: str):
        super().__init__(data)
        self.called = name

    def __repr__(self) -> str:
        return repr(self.called)


def units(images: Sequence[dict[str, Any]]) -> list[Sequence[int]]:
    """Positions of entries that are worked on together: those of one shard in its order, of files `TOGETHER`."""
    by_shard: dict[str, list[int]] = defaultdict(list)
    files: list[int] = []
    for position, image in enumerate(images):
        (by_shard[image["shard"]] if "shard" in image else files).append(position)
    held = [sorted(by_shard[name], key=lambda position: images[position]["offset"]) for name in sorted(by_shard)]
    return [*held, *cut(files, TOGETHER)]


def count(pictures: int, size: int) -> int:
    """Shards of so many pictures and bytes: a power of two, so that one picture more changes it seldom; 0: none, each
    is a file."""
    if pictures <= FOLDER:
        return 0
    needed = max(pictures / PICTURES, size / BYTES)
    return 1 << (math.ceil(needed) - 1).bit_length()


def shard(name: str, shards: int) -> str:
    """The shard of a picture: its name alone tells, so that others come and go without moving it."""
    return f"{zlib.crc32(name.encode()) % shards:05d}.tar"


def write(path: Path, members: Iterable[tuple[str, bytes]]) -> list[tuple[int, int]]:
    """Write a tar that hangs on names and bytes alone; returns offset and size of each."""
    places = []
    with path.open("wb") as file:
        for name, data in members:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            file.write(header.tobuf(tarfile.PAX_FORMAT))
            places.append((file.tell(), len(data)))
            file.write(data)
            file.write(bytes(-len(data) % BLOCK))
        file.write(END)
    return places


def copy(dataset: Path, images: Sequence[dict[str, Any]], target: Path, whole: bool = False) -> list[dict[str, int]]:
    """Copy the pictures of a unit of entries into the folder `target`; returns what changes in each entry.

    whole: the entries are all that their shard holds, which is copied as it is.
    """
    if "shard" not in images[0]:
        for image in images:
            shutil.copyfile(dataset / "images" / image["file_name"], target / image["file_name"])
        return [{} for _ in images]
    name = images[0]["shard"]
    if whole:
        shutil.copyfile(dataset / "images" / name, target / name)
        return [{} for _ in images]
    places = write(target / name, ((image["file_name"], source(dataset, image).read_bytes()) for image in images))
    return [{"offset": offset, "size": size} for offset, size in places]
