"""What `POST /v1/detect` takes and answers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from modalities.images.serve.requests import ImageRequest


class Request(ImageRequest):
    """An image; which of its boxes are wanted."""

    min_score: float = Field(
        0.0, ge=0, le=1, allow_inf_nan=False, description="Boxes with a smaller score are left out"
    )


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
