"""Image files that nobody vouches for: refused when they would take more memory or time than their pixels may.

All of it was measured with Pillow 13: a hundred kilobytes of JPEG that decode for minutes, a TIFF of 10 x 10 pixels
that takes a gigabyte.
"""

from __future__ import annotations

import struct

from PIL import Image

SCANS = 100
"""Of a progressive JPEG, as in libtiff: each is a pass over all pixels, of ten bytes or more. Programs write ten."""
SEGMENTS = 100
"""Of EXIF in a JPEG, and comments in a plain PPM: Pillow copies all that came before for each."""
PARTS = 100_000
"""Strips or tiles of a TIFF: each costs Python's memory and time, and may be two bytes of the file."""
STRIP_OFFSETS, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS = 273, 322, 323, 324
"""Tags of TIFF."""
COUNTED = {
    b"\xff\xd8": ((b"\xff\xda", "scans", SCANS), (b"Exif\x00\x00", "segments of EXIF", SEGMENTS)),
    **dict.fromkeys((b"P1", b"P2", b"P3"), ((b"#", "comments", SEGMENTS),)),
}
"""First two bytes of a file -> what is counted in it: bytes, name, limit."""


def look(file: bytes) -> None:
    """Before Pillow opens it. Raises: ValueError."""
    for mark, name, most in COUNTED.get(file[:2], ()):
        if (count := file.count(mark)) > most:
            raise ValueError(f"it has {count} {name}, expected at most {most}")
    if (parts := _parts(file)) > PARTS:
        raise ValueError(f"it is stored in {parts} strips or tiles, expected at most {PARTS}")


def bound(image: Image.Image, most: int) -> None:
    """most: pixels. image: opened, which reads its header, but not loaded. Raises: ValueError."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    tile = (tags.get(TILE_WIDTH, 0), tags.get(TILE_HEIGHT, 0))
    for owner, (width, height) in (("it has", image.size), ("its tiles have", tile)):
        if width * height > most:
            raise ValueError(f"{owner} {width} x {height} = {width * height} pixels, expected at most {most}")


def _parts(file: bytes) -> int:
    """Strips or tiles that the first directory of a TIFF lists; 0 for what is no TIFF, or a damaged one.

    https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf section 2; BigTIFF: http://bigtiff.org
    """
    order = {b"II": "<", b"MM": ">"}.get(file[:2])
    if order is None:
        return 0
    big = b"\x2b" in file[2:4]
    entry, at, number = (order + "HHQQ", 8, order + "Q") if big else (order + "HHII", 4, order + "H")
    parts = 0
    try:
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), file, at)
        (count,) = struct.unpack_from(number, file, start)
        start += struct.calcsize(number)
        for i in range(min(count, len(file) // struct.calcsize(entry))):
            tag, _, length, _ = struct.unpack_from(entry, file, start + i * struct.calcsize(entry))
            if tag in (STRIP_OFFSETS, TILE_OFFSETS):
                parts = max(parts, length)
    except struct.error:  # Pillow will say what is wrong with it
        pass
    return parts
