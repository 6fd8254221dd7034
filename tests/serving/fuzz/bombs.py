"""Small image files that claim to be, or would become, very large."""

from __future__ import annotations

import struct
import zlib

PNG = b"\x89PNG\r\n\x1a\n"
SIDE = 60_000


def png(width: int, height: int, data: bytes = b"", bits: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    """data: rows, each behind a byte for its filter."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [_chunk(b"IHDR", head), extra, _chunk(b"IDAT", zlib.compress(data, 1)), _chunk(b"IEND", b"")]
    return PNG + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def compressed_text(kind: bytes, megabytes: int) -> bytes:
    """A chunk of a PNG that unpacks to zeros."""
    return _chunk(kind, b"name\0\0" + zlib.compress(bytes(megabytes * 1_000_000), 1))


def webp(width: int, height: int) -> bytes:
    """The extended format, with nothing behind its header."""
    head = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return _riff(b"VP8X" + struct.pack("<I", len(head)) + head)


def webp_lossless(width: int, height: int) -> bytes:
    head = b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14) + bytes(5)
    return _riff(b"VP8L" + struct.pack("<I", len(head)) + head)


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def gif(screen: int, frame: int, frames: int = 1) -> bytes:
    """Squares; frames of one pixel's data each."""
    one = b"\x2c" + struct.pack("<HHHH", 0, 0, frame, frame) + b"\x00\x02\x02\x4c\x01\x00"
    return b"GIF89a" + struct.pack("<HH", screen, screen) + b"\x80\x00\x00" + bytes(6) + one * frames + b";"


def tiff(side: int, data: bytes, *, tile: int = 0, compression: int = 1, offsets: int = 1) -> bytes:
    """A grey square in one strip, in tiles, or with `offsets` strips of a row each, which are all the same."""
    width, height = (1, offsets) if offsets > 1 else (side, side)
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)]
    places = struct.pack("<I", 8) * offsets
    if tile:
        tags += [(322, 4, 1, tile), (323, 4, 1, tile), (324, 4, 1, 8), (325, 4, 1, len(data))]
    elif offsets > 1:
        tags += [(273, 4, offsets, 8 + len(data)), (278, 4, 1, 1), (279, 4, offsets, 8 + len(data))]
        data += places
    else:
        tags += [(273, 4, 1, 8), (278, 4, 1, height), (279, 4, 1, len(data))]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def bmp(side: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1000, 0, 0, 54) + head + bytes(1000)


def jpeg(side: int, scans: int = 1) -> bytes:
    """Grey and progressive; each scan after the first changes nothing, in eleven bytes."""
    table = bytes([1] + [0] * 15) + b"\x00"
    segments = [
        (b"\xdb", b"\x00" + bytes([1] * 64)),
        (b"\xc4", b"\x00" + table),
        (b"\xc4", b"\x10" + table),
        (b"\xc2", struct.pack(">BHHB", 8, side, side, 1) + b"\x01\x11\x00"),
        (b"\xda", b"\x01\x01\x00\x00\x00\x00"),
    ]
    head = b"".join(b"\xff" + kind + struct.pack(">H", 2 + len(data)) + data for kind, data in segments) + b"\x00"
    return b"\xff\xd8" + head + b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00\x00" * (scans - 1) + b"\xff\xd9"


def many(file: bytes, place: int, part: bytes, count: int) -> bytes:
    """A file with `count` parts put in."""
    return file[:place] + part * count + file[place:]


def zeros(megabytes: int) -> bytes:
    """Deflated."""
    machine = zlib.compressobj(1)
    return b"".join(machine.compress(bytes(1_000_000)) for _ in range(megabytes)) + machine.flush()


REFUSED = {
    "PNG": lambda: png(SIDE, SIDE, bits=1, colour=0),
    "PNG with rows": lambda: png(SIDE, SIDE, bytes(10_000_000)),
    "PNG with a compressed text": lambda: png(4, 4, bytes(52), extra=compressed_text(b"zTXt", 200)),
    "PNG with compressed texts": lambda: png(4, 4, bytes(52), extra=compressed_text(b"zTXt", 1) * 200),
    "PNG with a compressed profile": lambda: png(4, 4, bytes(52), extra=compressed_text(b"iCCP", 200)),
    "WebP": lambda: webp(SIDE, SIDE),
    "WebP of 16 million a side": lambda: webp(2**24, 2**24),
    "WebP lossless": lambda: webp_lossless(2**14, 2**14),
    "TIFF": lambda: tiff(SIDE, bytes(100)),
    "TIFF deflated": lambda: tiff(SIDE, zeros(1), compression=8),
    "TIFF of 10 x 10 in one large tile": lambda: tiff(10, zeros(400), tile=20_000, compression=8),
    "TIFF of many strips": lambda: tiff(1, bytes(1), offsets=1_000_000),
    "GIF": lambda: gif(SIDE, 1),
    "GIF with a large frame": lambda: gif(1, SIDE),
    "BMP": lambda: bmp(SIDE),
    "PPM": lambda: b"P6 60000 60000 255\n" + bytes(100),
    "PPM of 400 digits": lambda: b"P6 " + b"9" * 400 + b" 1 255\n" + bytes(100),
    "JPEG": lambda: jpeg(SIDE),
    "JPEG of many scans": lambda: jpeg(7000, scans=100_000),
    "JPEG of many EXIF segments": lambda: many(jpeg(50), 2, b"\xff\xe1\x00\x09Exif\x00\x00a", 1_000_000),
    "plain PPM of many comments": lambda: many(b"P3 1 1 255\n1 1 1\n", 11, b"#\n", 5_000_000),
}
"""What must be refused before it takes memory or time."""
ACCEPTED = {
    "GIF of 100,000 frames": lambda: gif(10, 4, 100_000),
    "PNG with more data than it needs": lambda: png(4, 4, bytes(200_000_000)),
    "JPEG of ten scans": lambda: jpeg(50, scans=10),
    "TIFF in one tile": lambda: tiff(10, zeros(1), tile=256, compression=8),
}
"""What looks like a bomb, and costs no more than its pixels."""
