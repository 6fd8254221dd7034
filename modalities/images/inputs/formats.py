"""The kinds of picture files that are read, the same in `prepare` and in the server."""

from __future__ import annotations

ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),  # a JPEG with more pictures behind it, as phones write
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
"""Name of the kind in Pillow -> endings that its files may have."""
FORMATS = tuple(kind for kind in ENDINGS if kind != "MPO")  # Pillow's JPEG reader opens these
"""Kinds that Pillow is asked to try."""
SUFFIXES = tuple(sorted({ending for endings in ENDINGS.values() for ending in endings}))
UNREAD = (
    ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".ico", ".tga", ".exr", ".hdr", ".dcm", ".raw",
    ".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".mp4", ".mov", ".avi",
)  # fmt: skip
"""Endings of pictures and films that are not read."""
