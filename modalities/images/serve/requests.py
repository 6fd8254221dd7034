"""Images of requests over HTTP, for the role `serve` of any task that takes images; numpy, Pillow and pydantic only.

The field that holds a file, the tensors of protocol v2, decoding within limits, and the figures that drift is told by.
A role names `LIMITS`, `RAW` and `INPUTS`, lets its `Request` inherit from `ImageRequest`, makes its items with `each`.
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import logging
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import _imaging
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from core.errors import DataError
from core.task import Limits, Tensor
from modalities.images.limits import LIMITS, PIXELS

__all__ = ["LIMITS"]  # of the role

Item = TypeVar("Item")
Image = NDArray[np.uint8]
"""(height, width, 3) RGB."""
Decode = Callable[[bytes, str, int], Image]
"""(a file, what an error calls it, pixels at most) -> the image. Raises: DataError."""

RAW = {"image/": "image"}
"""Media types of a body that is an image, and the field of `ImageRequest` that it fills."""
FILES = Tensor("image", "BYTES", (-1,))
"""Encoded files, of any sizes."""
ARRAY = Tensor("pixels", "UINT8", (-1, -1, -1, 3), also=("FP32",), example=[[[[255, 0, 0], [0, 0, 255]]]])
"""RGB 0 to 255, all images of one size."""
INPUTS = (FILES, ARRAY)
SMALL = 4_000_000
"""Pixels of an image that may be decoded beside others; a decoder needs ten bytes for each, or more."""
LARGE = threading.Lock()
"""Of the one larger image that is decoded at a time in this process."""
TRUTHS = {"true": True, "false": False}
SAMPLED = 4096
"""About so many pixels tell an image's brightness."""


def _decoded(value: Any) -> bytes:
    """Bytes of a form or a raw body as they are, text of JSON from base64."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected a base64 string, found {type(value).__name__}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not valid base64 ({error}); expected the encoded image file in standard base64") from None


class ImageRequest(BaseModel):
    """An image; a task adds what else may be said, each with a default."""

    model_config = ConfigDict(strict=True, extra="forbid")

    image: Annotated[
        bytes, PlainValidator(_decoded), WithJsonSchema({"type": "string", "format": "byte", "minLength": 4})
    ] = Field(description="An image file (JPEG, PNG, WebP, BMP, TIFF, GIF, PPM), base64 in JSON")

    @model_validator(mode="before")
    @classmethod
    def form(cls, values: Any) -> Any:
        """A form, known by its bytes, has numbers and yes or no as text."""
        if not isinstance(values, dict) or not isinstance(values.get("image"), bytes):
            return values
        return {name: _value(cls, name, value) for name, value in values.items()}


def _value(model: type[BaseModel], name: Any, value: Any) -> Any:
    field = model.model_fields.get(name) if isinstance(name, str) else None
    if field is None or field.annotation not in (bool, int, float) or not isinstance(value, str):
        return value
    if field.annotation is bool:
        if value not in TRUTHS:
            raise ValueError(f"{name}: expected true or false, found {value[:40]!r}")
        return TRUTHS[value]
    try:
        return field.annotation(value)
    except ValueError:
        raise ValueError(f"{name}: expected a number, found {value[:40]!r}") from None


def each(
    files: Sequence[bytes], names: Sequence[str], limits: Limits, decode: Decode, make: Callable[[Image], Item]
) -> list[Item]:
    """What `make` makes of each image, which is decoded and dropped again before the next one is: a request of small
    files must not hold them all at their full size.

    names: what an error calls each file. The limit of pixels holds for all images together.
    Raises: DataError.
    """
    _silence()
    items: list[Item] = []
    left = limits[PIXELS.name]

    def one(file: bytes, name: str, most: int) -> int:
        image = decode(file, name, most)
        items.append(make(image))
        return image.shape[0] * image.shape[1]

    def alone(file: bytes, name: str) -> int:
        with LARGE:
            return one(file, name, left)

    for file, name in zip(files, names, strict=True):
        try:
            try:
                left -= one(file, name, min(left, SMALL))
            except DataError:
                if left <= SMALL:
                    raise
                left -= alone(file, name)  # it has more pixels, or is no image at all
        except DataError as error:
            if items and f"at most {left}" in str(error):
                raise DataError(f"{error}, what the images before it left of {limits[PIXELS.name]}") from None
            raise
    return items


def count(array: NDArray[Any], name: str, limits: Limits) -> int:
    """How many images an input tensor holds. Raises: DataError when it is none, or too many."""
    if not 1 <= len(array) <= limits["items"]:
        raise DataError(f"{name}: has {len(array)} images, expected 1 to {limits['items']}")
    return len(array)


def rgb(array: NDArray[Any], limits: Limits) -> Image:
    """The input `pixels`, checked: (images, height, width, 3). Raises: DataError."""
    number, height, width, channels = array.shape
    most = limits[PIXELS.name]
    if channels != 3 or 0 in (height, width):
        raise DataError(
            f"pixels: has the shape {list(array.shape)}, expected [images, height, width, 3] with height and width "
            "of at least 1"
        )
    if height * width > most:
        raise DataError(f"pixels: an image has {width} x {height} = {width * height} pixels, expected at most {most}")
    if number * height * width > most:
        raise DataError(
            f"pixels: {number} images have {number * height * width} pixels together, expected at most {most}"
        )
    if array.dtype == np.uint8:
        return array
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 255):  # not a number is neither
        raise DataError(f"pixels: values lie from {low:g} to {high:g}, expected 0 to 255")
    return np.rint(array).astype(np.uint8)


def figures(image: Image) -> dict[str, float]:
    """Width and height in pixels; brightness, contrast (standard deviation) and saturation, 0 to 255, of `SAMPLED`
    pixels in a grid."""
    height, width = image.shape[:2]
    step = max(1, round((height * width / SAMPLED) ** 0.5))
    red, green, blue = np.ascontiguousarray(image[::step, ::step].reshape(-1, 3).T, np.float32)
    grey = (red + green + blue) / 3
    colour = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return {
        "width": float(width),
        "height": float(height),
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "saturation": float(colour.mean()),
    }


@cache
def _silence() -> None:
    """What Pillow and libtiff say of a client's file would stand in the server's log, a line for each spoiled row."""
    warnings.filterwarnings("ignore", module=r"PIL\b")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    with suppress(AttributeError):  # a Pillow without libtiff
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)
