"""One picture at a time by shapes that are fixed, for predictors of images that are told to (`single`).

ONNX Runtime plans for these shapes alone: 1.00 to 1.08 times as fast at batch 1, measured by `benchmarks.ceiling`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Protocol, TypeVar, cast


class Predictor(Protocol):
    single: bool
    size: tuple[int, int]
    """(height, width) of the network's input."""


Method = TypeVar("Method", bound=Callable[..., list[Any]])


def fixed(predictor: Predictor) -> dict[str, int] | None:
    """What of a graph's inputs has one size then, for `core.onnx_session.session`."""
    height, width = predictor.size
    return {"batch": 1, "height": height, "width": width} if predictor.single else None


def one_by_one(method: Method) -> Method:
    """A predictor's method from pictures to what was found in each, which computes them alone where it is told to."""

    @wraps(method)
    def found(predictor: Predictor, pictures: Sequence[Any]) -> list[Any]:
        if not predictor.single:
            return method(predictor, pictures)
        return [found for picture in pictures for found in method(predictor, [picture])]

    return cast("Method", found)
