"""Recordings of requests over HTTP, for the role `serve` of any task on sound; numpy, soundfile and pydantic only.

The field that holds a file, the tensors of protocol v2, decoding within limits, and the figures that drift is told by.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from core.errors import DataError
from core.task import Limits, Tensor
from modalities.audio.inputs.canonical import LONGEST
from modalities.audio.inputs.decode import Samples, decode, figures
from modalities.audio.limits import LIMITS, SECONDS

__all__ = ["LIMITS"]  # of the role

RAW = {"audio/": "audio"}
"""Media types of a body that is a recording, and the field of `AudioRequest` that it fills."""
INPUTS = (
    Tensor("audio", "BYTES", (-1,)),
    Tensor("samples", "FP32", (-1, -1), example=[[0.0, 0.1, -0.1, 0.0]]),
)
"""Files of any lengths, or samples at the model's rate, all of one length."""
ITEM_RATE = 16_000
"""Hz at which the statistics of recordings are taken."""


class Item(NamedTuple):
    samples: Samples
    rate: int


def _decoded(value: Any) -> bytes:
    """Bytes of a form or a raw body as they are, text of JSON from base64."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected a base64 string, found {type(value).__name__}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not valid base64 ({error}); expected the sound file in standard base64") from None


class AudioRequest(BaseModel):
    """A recording; a task adds what else may be said, each with a default."""

    model_config = ConfigDict(strict=True, extra="forbid")
    audio: Annotated[
        bytes, PlainValidator(_decoded), WithJsonSchema({"type": "string", "format": "byte", "minLength": 4})
    ] = Field(description="A sound file (WAV, FLAC, OGG, MP3), base64 in JSON")


def of_files(files: Sequence[bytes], names: Sequence[str], rate: int, limits: Limits) -> list[Item]:
    """Each decoded at `rate`; the limit of seconds holds for all together. names: what an error calls each file.

    Raises: DataError.
    """
    found, left = [], float(limits[SECONDS.name])
    for value, name in zip(files, names, strict=True):
        samples = decode(value, rate, left, name).samples
        left -= len(samples) / rate
        found.append(Item(samples, rate))
    return found


def of_tensors(inputs: Mapping[str, NDArray[Any]], rate: int, limits: Limits) -> list[Item]:
    """From one of `INPUTS`. Raises: DataError."""
    if len(inputs) != 1:
        raise DataError(f"inputs: expected either 'audio' or 'samples', found {sorted(inputs)}")
    ((name, array),) = inputs.items()
    if not 1 <= len(array) <= limits["items"]:
        raise DataError(f"{name}: has {len(array)} recordings, expected 1 to {limits['items']}")
    every = array.tolist() if name == "audio" else list(array)
    return of_files(every, [f"{name}[{i}]" for i in range(len(array))], rate, limits)


def item(value: Any) -> Item:
    """See `core.task.Serve`."""
    return Item(decode(value, ITEM_RATE, LONGEST).samples, ITEM_RATE)


def features(item: Item) -> dict[str, float]:
    """See `modalities.audio.inputs.decode.figures`."""
    return figures(*item)


def size(item: Item) -> int:
    """See `core.task.Serve`."""
    return item.samples.nbytes


def cost(item: Item, options: Any) -> float:
    """See `core.task.Serve`: by its length."""
    return float(len(item.samples))
