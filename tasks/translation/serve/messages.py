"""What `POST /v1/translate` takes and answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from modalities.text.serve.texts import CONTROLS
from tasks.translation.predict import EXAMPLE

OPTIONS = {
    "beam": "hypotheses searched side by side, 1 to 16; 1 is greedy (default: the model's own)",
    "check_language": "refuse text that is not in the script of the source language (default true)",
}
BEAMS = 16
TEXT = {"type": "string", "pattern": rf"^[^{CONTROLS}]*[^\s{CONTROLS}][^{CONTROLS}]*$", "examples": [EXAMPLE]}
"""What is translated, as JSON Schema."""


def _texts(value: Any) -> str | list[str]:
    """A text or texts of JSON; the bytes of a raw body are UTF-8."""
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


class Request(BaseModel):
    """One text or several."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: Annotated[
        str | list[str],
        PlainValidator(_texts),
        WithJsonSchema({"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}),
    ] = Field(description="Text in the source language: sentences, paragraphs; or a list of texts")
    alignment: bool = Field(False, description="Tell which subwords of the source each subword was translated from")
    beam: Annotated[int | None, BeforeValidator(whole)] = Field(None, ge=1, le=BEAMS, description=OPTIONS["beam"])
    check_language: bool = Field(True, description=OPTIONS["check_language"])


class Alignment(BaseModel):
    """Attention of each target subword to the source's."""

    source: list[str]
    target: list[str]
    attention: list[list[float]] = Field(description="[target][source]; rows sum to 1")


class Sentence(BaseModel):
    """A sentence, or a part of one that is longer than the model reads."""

    source: str
    text: str
    alignment: Alignment | None


class Translation(BaseModel):
    """Of one text."""

    text: str
    sentences: list[Sentence]


class Response(BaseModel):
    """A translation for each text, in order."""

    translations: list[Translation]
