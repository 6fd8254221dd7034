"""The `speech` section of `params.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from core import compression
from core.params import ExportParams, ModelParams, Name, Section, TaskParams
from modalities.audio import params as audio

MODALITY = "audio"


class Model(ModelParams):
    features: audio.Features
    body: audio.Body
    pool: Literal["mean", "last"]
    """Of `target: class`: the mean over time of what each frame says, or what the last states say."""
    dropout: float = Field(ge=0, lt=1)
    """Share of units left out before the last layer at each step of training."""
    label_smoothing: float = Field(ge=0, lt=1)
    """Of `target: class`: share of the target that is spread over all classes."""

    @field_validator("weights")
    @classmethod
    def _nothing_packaged(cls, value: str) -> str:
        if value == "packaged":
            raise ValueError("found 'packaged', but no package carries weights; expected none, a path, or a URL")
        return value


class Prune(compression.Prune):
    """`ratio` is of the units of every recurrent layer and of the channels of every convolution, rounded."""

    importance: Literal["magnitude"]
    """By what the weakest are told: the size of their weights."""
    allocation: Literal["uniform"] = "uniform"
    """The same share of each layer."""
    train: audio.Train


class Distill(compression.Distill):
    body: audio.Body
    train: audio.Train


class Decode(Section):
    beam: Annotated[int, Field(ge=1, le=100)]
    """Of transcripts: prefixes that are kept; 1: the likeliest symbol of each frame."""


class Export(ExportParams):
    decode: Decode


class Params(TaskParams):
    data: audio.Data
    validation: audio.Validate = Field(alias="validate")
    augment: audio.Augment | None
    model: Model
    train: audio.Train
    prune: dict[Name, Prune] | None
    distill: dict[Name, Distill] | None
    export: Export
    quantize: audio.Quantize

    @field_validator("precisions")
    @classmethod
    def _no_half(cls, value: list[str]) -> list[str]:
        if "fp16" in value:
            raise ValueError("found fp16, which the graph of the front end is not made for; expected fp32 and int8")
        return value
