"""Role `serve` of detection: images over HTTP in, boxes out; numpy, Pillow, pydantic and ONNX Runtime only.

An item is decoded and fitted to the network where the request is read, so that the step that computes a batch does
nothing but stack pixels and run the graph.
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from PIL import _imaging
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from core.errors import DataError
from core.task import Job, Limits, Tensor
from tasks.detection.common.compare import difference
from tasks.detection.predict import Found, Picture, Predictor, pixels

VERB = "detect"
RAW = {"image/": "image"}
INPUTS = (Tensor("image", "BYTES", (-1,)), Tensor("pixels", "UINT8", (-1, -1, -1, 3), also=("FP32",)))
"""Encoded files; or RGB 0 to 255, all images of one size."""
OUTPUTS = (
    Tensor("boxes", "FP32", (-1, 4)),
    Tensor("scores", "FP32", (-1,)),
    Tensor("labels", "BYTES", (-1,)),
    Tensor("category_ids", "INT64", (-1,)),
    Tensor("owners", "INT64", (-1,)),
)
"""Boxes of all images, x1, y1, x2, y2 in pixels, the best of each image first; `owners`: index of the image."""
OPTIONS = {"min_score": "boxes with a smaller score are left out, 0 to 1 (default 0)"}
MAX_BATCH = 8
"""The graph takes as long for a batch as for its images one by one; but between two batches the computing thread waits
for Python, which reads the next requests meanwhile: one by one, a busy server reached 0.6 of a bare loop."""
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


class Request(BaseModel):
    """An image; which of its boxes are wanted."""

    model_config = ConfigDict(strict=True, extra="forbid")

    image: Annotated[
        bytes, PlainValidator(_decoded), WithJsonSchema({"type": "string", "format": "byte", "minLength": 4})
    ] = Field(description="An image file (JPEG, PNG, WebP, BMP, TIFF, GIF, PPM), base64 in JSON")
    min_score: float = Field(
        0.0, ge=0, le=1, allow_inf_nan=False, description="Boxes with a smaller score are left out"
    )

    @model_validator(mode="before")
    @classmethod
    def form(cls, values: Any) -> Any:
        """A form, known by its bytes, has numbers as text."""
        if isinstance(values, dict) and isinstance(values.get("image"), bytes):
            text = values.get("min_score")
            if isinstance(text, str):
                try:
                    return {**values, "min_score": float(text)}
                except ValueError:
                    raise ValueError(f"min_score: expected a number from 0 to 1, found {text[:40]!r}") from None
        return values


class Box(BaseModel):
    """Something found."""

    box: list[float] = Field(min_length=4, max_length=4, description="x1, y1, x2, y2 in pixels of the image")
    score: float
    label: str
    category_id: int


class Response(BaseModel):
    """Size of the upright image and its boxes, best first."""

    width: int
    height: int
    boxes: list[Box]


@dataclass(frozen=True)
class Item:
    picture: Picture
    figures: dict[str, float]


@dataclass(frozen=True)
class State:
    predictor: Predictor
    min_score: float
    sizes: list[tuple[int, int]]
    """Width and height of each image."""


def about(predictor: Predictor) -> dict[str, Any]:
    """See `core.task.Serve`."""
    height, width = predictor.size
    return {
        "classes": predictor.classes,
        "image_size": {"width": width, "height": height},
        "score_threshold": predictor.settings.get("score_threshold", 0.0),
        "max_detections": predictor.most,
    }


def plain(request: Request, predictor: Predictor, limits: Limits) -> Job:
    """See `core.task.Serve`."""
    image = _image(request.image, "image", limits)
    return _job([image], request.min_score, predictor)


def answer(job: Job, results: Sequence[Found]) -> dict[str, Any]:
    """See `core.task.Serve`."""
    (found,), ((width, height),) = _kept(job, results), job.state.sizes
    return {"width": width, "height": height, "boxes": job.state.predictor.describe(found)}


def tensors(
    inputs: Mapping[str, NDArray[Any]], parameters: Mapping[str, Any], predictor: Predictor, limits: Limits
) -> Job:
    """See `core.task.Serve`."""
    if len(inputs) != 1 or not set(inputs) <= {"image", "pixels"}:
        raise DataError(f"inputs: expected either 'image' or 'pixels', found {sorted(inputs)}")
    ((name, array),) = inputs.items()
    if not 1 <= len(array) <= limits.items:
        raise DataError(f"{name}: has {len(array)} images, expected 1 to {limits.items}")
    score = _score(parameters.get("min_score", 0.0))
    if name == "image":
        images = [_image(value, f"image[{i}]", limits) for i, value in enumerate(array.tolist())]
    else:
        images = list(_rgb(array, limits))
    return _job(images, score, predictor)


def outputs(job: Job, results: Sequence[Found]) -> dict[str, NDArray[Any]]:
    """See `core.task.Serve`."""
    kept, classes = _kept(job, results), job.state.predictor.classes
    labels = [classes[label] for found in kept for label in found.labels.tolist()]
    return {
        "boxes": np.concatenate([found.boxes for found in kept]).astype(np.float32),
        "scores": np.concatenate([found.scores for found in kept]).astype(np.float32),
        "labels": np.array([entry["name"].encode() for entry in labels], dtype=object),
        "category_ids": np.array([entry["id"] for entry in labels], dtype=np.int64),
        "owners": np.repeat(np.arange(len(kept), dtype=np.int64), [len(found.scores) for found in kept]),
    }


def run(predictor: Predictor, items: Sequence[Item], options: Any) -> list[Found]:
    """See `core.task.Serve`."""
    return predictor.detect([item.picture for item in items])


def differs(expected: Any, found: Any) -> str | None:
    """See `core.task.Serve`."""
    return difference(expected, found)


def item(value: Any) -> Item:
    """An image at its own size: its figures are what is asked for, and no network is known."""
    image = pixels(value, "image")
    height, width = image.shape[:2]
    return Item(Picture(image.transpose(2, 0, 1), width, height, (1.0, 1.0)), _figures(image))


def features(item: Item) -> dict[str, float]:
    """Width and height in pixels; brightness, contrast (standard deviation) and saturation, 0 to 255, of `SAMPLED`
    pixels in a grid."""
    return item.figures


def _image(file: bytes, name: str, limits: Limits) -> NDArray[np.uint8]:
    """See `predict.pixels`."""
    _silence()
    return pixels(file, name, limits.pixels)


@cache
def _silence() -> None:
    """What Pillow and libtiff say of a client's file would stand in the server's log, a line for each spoiled row."""
    warnings.filterwarnings("ignore", module=r"PIL\b")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    with suppress(AttributeError):  # a Pillow without libtiff
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def _figures(image: NDArray[np.uint8]) -> dict[str, float]:
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


def _job(images: Sequence[NDArray[np.uint8]], min_score: float, predictor: Predictor) -> Job:
    items = [Item(predictor.picture(image), _figures(image)) for image in images]
    sizes = [(image.shape[1], image.shape[0]) for image in images]
    return Job(items, None, State(predictor, min_score, sizes))


def _kept(job: Job, results: Sequence[Found]) -> list[Found]:
    """Results without the boxes that the request does not want."""
    kept = []
    for found in results:
        count = int((found.scores >= job.state.min_score).sum())  # best first
        kept.append(Found(found.boxes[:count], found.scores[:count], found.labels[:count]))
    return kept


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(f"parameters: min_score is {value!r}, expected a number from 0 to 1")
    return float(value)


def _rgb(array: NDArray[Any], limits: Limits) -> NDArray[np.uint8]:
    """The input `pixels`, checked."""
    _, height, width, channels = array.shape
    if channels != 3 or 0 in (height, width):
        raise DataError(
            f"pixels: has the shape {list(array.shape)}, expected [images, height, width, 3] with height and width "
            "of at least 1"
        )
    if height * width > limits.pixels:
        raise DataError(
            f"pixels: an image has {width} x {height} = {width * height} pixels, expected at most {limits.pixels}"
        )
    if array.dtype == np.uint8:
        return array
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 255):  # not a number is neither
        raise DataError(f"pixels: values lie from {low:g} to {high:g}, expected 0 to 255")
    return np.rint(array).astype(np.uint8)
