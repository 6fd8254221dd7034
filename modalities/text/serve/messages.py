"""Parts of answers that are told of a sentence."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Alignment(BaseModel):
    """Attention of each target subword to the source's."""

    source: list[str]
    target: list[str]
    attention: list[list[float]] = Field(description="[target][source]; rows sum to 1")


class Alternative(BaseModel):
    """One of the best translations; the first is the translation."""

    text: str
    score: float = Field(description="Log-probability (nats) behind the prefix, over its length ^ length_penalty")
