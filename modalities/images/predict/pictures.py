"""Pictures as a predictor takes them; numpy and Pillow only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.errors import DataError
from modalities.images.inputs.canonical import read_split
from modalities.images.inputs.decode import decode
from modalities.images.inputs.formats import FORMATS
from modalities.images.inputs.shards import Member, Source


def inputs(dataset: Path, split: str, limit: int | None = None) -> list[Source]:
    """Places of a split's images in the order of its JSON file, the first `limit`."""
    records, _ = read_split(dataset, split)
    return [record["file"] for record in records[:limit]]


def network_input(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Images (height, width, colours) of one size -> the graph's `images` (B, colours, height, width), raw 0-255."""
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2), np.float32)


def pixels(value: Any, name: str, most: int | None = None) -> NDArray[np.uint8]:
    """An input of the predictor as (height, width, 3) RGB. name: what an error calls it; most: pixels, see `decode`.

    Raises: DataError when it is no image, or not a whole one.
    """
    if isinstance(value, np.ndarray):
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3 or 0 in value.shape:
            raise DataError(f"{name}: expected a uint8 array (height, width, 3), found {value.dtype} {value.shape}")
        return value
    if not isinstance(value, str | Path | Member | bytes):
        raise DataError(f"{name}: expected a path, bytes or an array, found {type(value).__name__}")
    what = "these bytes" if isinstance(value, bytes) else str(value)
    try:
        return decode(value, most)
    except FileNotFoundError:
        raise DataError(f"{name}: {what} does not exist") from None
    except UnidentifiedImageError:
        raise DataError(
            f"{name}: {what} cannot be read as an image: neither of {', '.join(FORMATS)}, or damaged at its beginning"
        ) from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if most is not None and isinstance(error, Image.DecompressionBombError):  # Pillow tells its own limit
            reason = f"{reason.split(',')[0]}; expected at most {most} pixels"
        raise DataError(f"{name}: {what} cannot be read as an image: {reason}") from None
