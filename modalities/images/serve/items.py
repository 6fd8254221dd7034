"""Items of requests with images: what the network takes of an image, made where the request is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.task import Limits
from modalities.images.predict.pictures import pixels
from modalities.images.serve.requests import Image, count, each, figures, rgb


class Picture(Protocol):
    """What the network takes of an image: an array (colours, height, width), alone or with what leads back to it."""

    @property
    def nbytes(self) -> int: ...


P = TypeVar("P", bound=Picture)


@dataclass(frozen=True)
class Item(Generic[P]):
    picture: P
    width: int
    """Of the image, pixels; `height` likewise."""
    height: int
    figures: dict[str, float]


def of_files(files: Sequence[bytes], names: Sequence[str], make: Callable[[Image], P], limits: Limits) -> list[Item[P]]:
    """names: what an error calls each file; make: the network's picture of an image. Raises: DataError."""
    return each(files, names, limits, pixels, lambda image: _item(image, make))


def of_tensors(inputs: Mapping[str, NDArray[Any]], make: Callable[[Image], P], limits: Limits) -> list[Item[P]]:
    """From one of `requests.INPUTS`. Raises: DataError."""
    if len(inputs) != 1 or not set(inputs) <= {"image", "pixels"}:
        raise DataError(f"inputs: expected either 'image' or 'pixels', found {sorted(inputs)}")
    ((name, array),) = inputs.items()
    number = count(array, name, limits)
    if name == "image":
        return of_files(array.tolist(), [f"image[{i}]" for i in range(number)], make, limits)
    return [_item(one, make) for one in rgb(array, limits)]


def item(value: Any) -> Item[NDArray[np.uint8]]:
    """An image at its own size: its figures are what is asked for, and no network is known."""
    return _item(pixels(value, "image"), lambda image: image.transpose(2, 0, 1))


def features(item: Item[Any]) -> dict[str, float]:
    """See `requests.figures`."""
    return item.figures


def size(item: Item[Any]) -> int:
    """See `core.task.Serve`."""
    return item.picture.nbytes


def _item(image: Image, make: Callable[[Image], P]) -> Item[P]:
    return Item(make(image), image.shape[1], image.shape[0], figures(image))
