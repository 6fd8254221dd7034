"""What `POST /v1/translate` takes and answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from modalities.text.serve.messages import Alignment, Alternative
from modalities.text.serve.requests import one_or_several, whole
from tasks.translation.predict import EXAMPLE

OPTIONS = {
    "beam": "hypotheses searched side by side, 1 to 16; 1 is greedy (default: the model's own)",
    "check_language": "refuse text that is not in the script of the source language (default true)",
}
BEAMS = 16


class Request(BaseModel):
    """One text or several."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: Annotated[str | list[str], *one_or_several(EXAMPLE)] = Field(
        description="Text in the source language: sentences, paragraphs; or a list of texts"
    )
    alignment: bool = Field(False, description="Tell which subwords of the source each subword was translated from")
    beam: Annotated[int | None, BeforeValidator(whole)] = Field(None, ge=1, le=BEAMS, description=OPTIONS["beam"])
    check_language: bool = Field(True, description=OPTIONS["check_language"])
    alternatives: Annotated[int | None, BeforeValidator(whole)] = Field(
        None,
        ge=1,
        le=BEAMS,
        description="Tell so many translations of each sentence, with scores; at most the beam",
    )
    prefix: str | list[str] | None = Field(
        None, description="What the translation begins with; of a list of texts a list, with an empty string for none"
    )


class Sentence(BaseModel):
    """A sentence, or a part of one that is longer than the model reads."""

    source: str
    text: str
    alignment: Alignment | None
    alternatives: list[Alternative] | None = Field(
        description="Best first, no two the same; fewer where there are none"
    )


class Translation(BaseModel):
    """Of one text."""

    text: str
    sentences: list[Sentence]


class Response(BaseModel):
    """A translation for each text, in order."""

    translations: list[Translation]
