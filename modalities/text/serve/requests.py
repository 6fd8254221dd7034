"""Texts of requests over HTTP, for the role `serve` of any task that takes text: the field that holds them, the tensor
of protocol v2, and what is refused; numpy and pydantic only.

A role names `LIMITS`, `RAW` and `INPUTS`, gives its `Request` a field of `one_or_several(EXAMPLE)`, and calls `check`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainValidator, WithJsonSchema

from core.errors import DataError
from core.task import Limits, Tensor
from modalities.text.limits import CHARACTERS, LIMITS

__all__ = ["LIMITS"]  # of the role

RAW = {"text/plain": "text"}
"""Media type of a body that is a text, and the field of the request that it fills."""
INPUTS = (Tensor("text", "BYTES", (-1,), example=["The meeting starts at nine."]),)
CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd"
REFUSED = re.compile(rf"[{CONTROLS}\ud800-\udfff]")


def one_or_several(example: str) -> tuple[Any, Any]:
    """What makes a field take a text, a list of texts, or the bytes of a raw body, which are UTF-8:
    `Annotated[str | list[str], *one_or_several(EXAMPLE)]`."""
    one = {"type": "string", "pattern": rf"^[^{CONTROLS}]*[^\s{CONTROLS}][^{CONTROLS}]*$", "examples": [example]}
    several = {"type": "array", "items": one, "minItems": 1}
    return PlainValidator(_texts), WithJsonSchema({"anyOf": [one, several]})


def _texts(value: Any) -> str | list[str]:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"no valid UTF-8 at byte {error.start}: {error.reason}") from None
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(text, str) for text in value)):
        return value
    kinds = type(value).__name__
    if isinstance(value, list):
        index, other = next((i, text) for i, text in enumerate(value) if not isinstance(text, str))
        kinds = f"a list with {type(other).__name__} at index {index}"
    raise ValueError(f"expected a string or a list of strings, found {kinds}")


def whole(value: Any) -> Any:
    """JSON Schema takes 2.0 for an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def decoded(array: NDArray[np.object_], name: str, limits: Limits) -> list[str]:
    """The strings of an input tensor, no more than one too many. Raises: DataError when one is no UTF-8."""
    return [_utf8(value, f"{name}[{i}]") for i, value in enumerate(array[: limits["items"] + 1].tolist())]


def _utf8(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: no valid UTF-8 at byte {error.start}: {error.reason}") from None


def check(texts: Sequence[str], names: Sequence[str], limits: Limits) -> None:
    """names: what an error calls each text. Raises: DataError when they are none, too many, too long, empty, or hold
    characters that are no text."""
    if not 1 <= len(texts) <= limits["items"]:
        found = "none" if not texts else f"more than {limits['items']}"
        raise DataError(f"text: has {found}, expected 1 to {limits['items']} texts")
    most = limits[CHARACTERS.name]
    for text, name in zip(texts, names, strict=True):
        if not text.strip():
            raise DataError(f"{name} is empty, expected at least one character that is no white space")
        if len(text) > most:
            raise DataError(f"{name} has {len(text)} characters, expected at most {most}")
        if bad := REFUSED.search(text):
            raise DataError(
                f"{name} has the character U+{ord(bad[0]):04X} at position {bad.start()}, expected text without "
                "control characters (but tab and newline), lone surrogates and replacement characters"
            )
    if (together := sum(map(len, texts))) > most:
        raise DataError(f"text: {len(texts)} texts have {together} characters together, expected at most {most}")
