"""Names of the shared libraries that a shared library needs, read from its file (DT_NEEDED) without running it.

Layout: System V ABI, ELF-64 object file format; little-endian, as on x86-64 and AArch64.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")  # Elf64_Ehdr
SEGMENT = struct.Struct("<IIQQQQQQ")  # Elf64_Phdr: type, flags, offset, vaddr, paddr, filesz, memsz, align
ENTRY = struct.Struct("<qQ")  # Elf64_Dyn: tag, value
LOAD, DYNAMIC = 1, 2
NEEDED, STRINGS = 1, 5
MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian


def needed(path: Path) -> list[str]:
    """In the order of the file. Raises: ValueError for what is not a whole ELF-64 file, OSError."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError(f"{path} is no 64-bit little-endian ELF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return _needed(content)
            except (struct.error, IndexError, StopIteration, UnicodeDecodeError):
                raise ValueError(f"{path} is damaged or cut short") from None


def _needed(content: mmap.mmap) -> list[str]:
    header = HEADER.unpack_from(content)
    start, size, count = header[5], header[9], header[10]
    segments = [SEGMENT.unpack_from(content, start + i * size) for i in range(count)]
    dynamic = next((segment for segment in segments if segment[0] == DYNAMIC), None)
    if dynamic is None:
        return []  # statically linked
    entries = []
    for place in range(dynamic[2], dynamic[2] + dynamic[5], ENTRY.size):
        tag, value = ENTRY.unpack_from(content, place)
        if tag == 0:
            break
        entries.append((tag, value))
    address = next(value for tag, value in entries if tag == STRINGS)
    # The table is given as an address in memory; the segment that is loaded there says where it lies in the file.
    strings = next(s[2] + address - s[3] for s in segments if s[0] == LOAD and s[3] <= address < s[3] + s[5])
    return [_string(content, strings + value) for tag, value in entries if tag == NEEDED]


def _string(content: mmap.mmap, place: int) -> str:
    end = content.find(b"\0", place)
    if end < 0:
        raise IndexError(place)
    return content[place:end].decode("ascii")
