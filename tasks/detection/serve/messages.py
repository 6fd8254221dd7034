"""What `POST /v1/detect` takes and answers."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator


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
