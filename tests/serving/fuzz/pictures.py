"""Image files of all kinds made from one picture, and ways to spoil them; the same for the same seed."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image

EXTREME = [b"\x00\x00", b"\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff"]
PNG = b"\x89PNG\r\n\x1a\n"


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def common(picture: Image.Image) -> dict[str, bytes]:
    """JPEG, PNG and WebP in the varieties that cameras and programs write."""
    turned = Image.Exif()
    turned[0x0112] = 6
    grey, clear = picture.convert("L"), picture.convert("RGBA")
    clear.putalpha(grey)
    frames = {"save_all": True, "append_images": [picture.rotate(90), grey.convert("RGB")]}
    return {
        "jpeg": saved(picture, "JPEG"),
        "jpeg progressive": saved(picture, "JPEG", progressive=True, quality=60, subsampling=0),
        "jpeg grey": saved(grey, "JPEG"),
        "jpeg cmyk": saved(picture.convert("CMYK"), "JPEG"),
        "jpeg turned": saved(picture, "JPEG", exif=turned, icc_profile=bytes(200), comment=b"a comment"),
        "jpeg restart": saved(picture, "JPEG", restart_marker_rows=1, optimize=True),
        "png": saved(picture, "PNG"),
        "png palette": saved(picture.quantize(16), "PNG", transparency=3),
        "png alpha": saved(clear, "PNG", exif=turned),
        "png bits": saved(picture.convert("1"), "PNG"),
        "png 16 bits": saved(grey.convert("I;16"), "PNG"),
        "png animated": saved(picture, "PNG", **frames),
        "webp": saved(picture, "WEBP"),
        "webp lossless": saved(clear, "WEBP", lossless=True, exact=True),
        "webp animated": saved(picture, "WEBP", **frames, duration=50),
        "webp extended": saved(picture, "WEBP", exif=turned, icc_profile=bytes(200), xmp=b"<x/>"),
    }


def rare(picture: Image.Image) -> dict[str, bytes]:
    """The other formats that are taken."""
    frames = {"save_all": True, "append_images": [picture.rotate(90), picture.convert("L").convert("RGB")]}
    return {
        "bmp": saved(picture, "BMP"),
        "bmp palette": saved(picture.quantize(16), "BMP"),
        "gif": saved(picture, "GIF"),
        "gif animated": saved(picture, "GIF", **frames),
        "tiff": saved(picture, "TIFF"),
        "tiff lzw": saved(picture, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": saved(picture, "TIFF", compression="jpeg"),
        "tiff deflate": saved(picture.convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
        "tiff group 4": saved(picture.convert("1"), "TIFF", compression="group4"),
        "tiff pages": saved(picture, "TIFF", **frames),
        "ppm": saved(picture, "PPM"),
        "pgm": saved(picture.convert("L"), "PPM"),
    }


def mutants(files: dict[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` spoiled files, each with what was done to it."""
    rng, names = random.Random(seed), sorted(files)
    for i in range(count):
        name = names[i % len(names)]
        content, done = bytearray(files[name]), []
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            way = rng.choice(WAYS)
            content = bytearray(way(rng, content, files[rng.choice(names)])) or bytearray(b"\x00")
            done.append(way.__name__.strip("_"))
        yield f"{i}: {name}, {' + '.join(done)}", bytes(content)


def _flip(rng: random.Random, content: bytearray, other: bytes) -> bytes:
    for _ in range(rng.choice([1, 2, 5, 50])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def _flip_head(rng: random.Random, content: bytearray, other: bytes) -> bytes:
    for _ in range(rng.choice([1, 2, 4])):
        content[rng.randrange(min(64, len(content)))] ^= 1 << rng.randrange(8)
    return content


def _truncate(rng: random.Random, content: bytearray, other: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def _field(rng: random.Random, content: bytearray, other: bytes) -> bytes:
    """An extreme number in the header."""
    at, value = rng.randrange(min(100, len(content))), rng.choice(EXTREME)
    content[at : at + len(value)] = value
    return content


def _length(rng: random.Random, content: bytearray, other: bytes) -> bytes:
    """A wrong length of a chunk or a segment."""
    starts = _chunks(content)
    if not starts:
        return content
    at, size, order = rng.choice(starts)
    code = {2: ">H", 4: f"{order}I"}[size]
    (length,) = struct.unpack_from(code, content, at)
    new = rng.choice(
        [0, 1, length + 1, length - 1, length * 2, 256**size - 1, 256**size // 2, rng.randrange(256**size)]
    )
    struct.pack_into(code, content, at, new % 256**size)
    return content


def _chunks(content: bytearray) -> list[tuple[int, int, str]]:
    """Place, size and byte order of lengths, as far as the file can be walked."""
    found = []
    if content.startswith(PNG):
        at = 8
        while at + 12 <= len(content):
            found.append((at, 4, ">"))
            at += 12 + int.from_bytes(content[at : at + 4], "big")
    elif content.startswith(b"RIFF"):
        found, at = [(4, 4, "<")], 12
        while at + 8 <= len(content):
            found.append((at + 4, 4, "<"))
            at += 8 + int.from_bytes(content[at + 4 : at + 8], "little") + 1 & ~1
    elif content.startswith(b"\xff\xd8"):
        at = 2
        while at + 4 <= len(content) and content[at] == 0xFF:
            found.append((at + 2, 2, ">"))
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return found


def _honest(rng: random.Random, content: bytearray, other: bytes) -> bytes:
    """A wrong value in a chunk of a PNG, with the checksum that is right for it: decoders must look at it."""
    if not content.startswith(PNG):
        return _flip(rng, content, other)
    at, _, _ = rng.choice(_chunks(content) or [(8, 4, ">")])
    length = int.from_bytes(content[at : at + 4], "big")
    if not 0 < length <= len(content) - at - 12:
        return content
    content[at + 8 + rng.randrange(length)] = rng.choice([0, 1, 2, 3, 8, 16, 127, 128, 255])
    struct.pack_into(">I", content, at + 8 + length, zlib.crc32(content[at + 4 : at + 8 + length]))
    return content


def _append(rng: random.Random, content: bytearray, other: bytes) -> bytes:
    return content + rng.choice([rng.randbytes(100), other, bytes(5000)])


def _splice(rng: random.Random, content: bytearray, other: bytes) -> bytes:
    return content[: rng.randrange(len(content))] + other[rng.randrange(len(other)) :]


def _repeat(rng: random.Random, content: bytearray, other: bytes) -> bytes:
    start = rng.randrange(len(content))
    part = content[start : start + rng.choice([4, 16, 64, 500])]
    return content[:start] + part * rng.choice([0, 2, 20]) + content[start + len(part) :]


def _insert(rng: random.Random, content: bytearray, other: bytes) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + rng.randbytes(rng.choice([1, 2, 8, 100])) + content[at:]


Way = Callable[[random.Random, bytearray, bytes], bytes]
WAYS: list[Way] = [_flip, _flip_head, _truncate, _field, _length, _honest, _append, _splice, _repeat, _insert]
