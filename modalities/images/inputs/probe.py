"""What an image file really is: its size, kind and faults, found without trusting its name or header."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from core.errors import SourceError
from modalities.images.inputs import shards
from modalities.images.inputs.formats import ENDINGS, FORMATS

ORIENTATION = 0x0112
"""EXIF tag: 1 upright, 2-8 mirrored or turned."""
GOOD = "an image"


@dataclass(frozen=True, slots=True)
class Probe:
    content: str
    """`GOOD`, or what is wrong with the file."""
    width: int | None = None
    """As stored, before any EXIF rotation; None when the header is unreadable."""
    height: int | None = None
    mode: str = ""
    orientation: int = 1

    @property
    def upright(self) -> tuple[int | None, int | None]:
        """Width and height after the EXIF rotation; 5-8 swap the sides."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def probe(path: shards.Source | None, max_pixels: int, decode: bool) -> Probe:
    """Open `path` and, with `decode`, read every pixel, unless it has more than `max_pixels`.

    Raises: SourceError for a file that this user may not read: that is no fault of the image.
    """
    known: dict[str, Any] = {}
    try:
        if path is None or not path.is_file():
            return Probe("missing file")
        if shards.size(path) == 0:
            return Probe("empty file (0 bytes)")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(shards.opened(path), formats=FORMATS) as image:
                known = {"width": image.width, "height": image.height, "mode": image.mode}
                fault = _fault(image, path, max_pixels)
                if fault is None:  # only now: Pillow decodes a whole PNG to find its EXIF
                    orientation = image.getexif().get(ORIENTATION, 1)
                    if isinstance(orientation, int) and orientation in range(1, 9):
                        known["orientation"] = orientation
                if fault is None and decode:
                    image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return Probe("decompression bomb: its header claims a size far beyond any limit")
    except PermissionError:
        raise SourceError(f"{path} cannot be read: permission denied; give this user read access") from None
    except Exception as error:  # decoders raise whatever they like on damaged bytes
        message = str(error)
        if isinstance(path, Path):
            message = message.replace(str(path), path.name).replace(repr(str(path.parent)), "")
        return Probe(f"unreadable: {message or type(error).__name__}"[:160], **known)
    return Probe(fault or GOOD, **known)


def _fault(image: Image.Image, path: shards.Source, max_pixels: int) -> str | None:
    kind = image.format or ""
    frames = 1 if kind == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        return f"animated: {frames} frames"
    if path.suffix.lower() not in ENDINGS[kind]:
        return f"wrong extension: {kind} named {path.suffix or 'without one'}"
    if image.width * image.height > max_pixels:
        return f"decompression bomb: {image.width}x{image.height} pixels, more than {max_pixels}"
    return None
