"""Sections of `params.yaml` that tasks on sound share; a task's `params` takes one or adds to it."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from core import compression
from core.params import DataParams, Positive, Probability, Section, TrainParams, ValidateParams

Range = Annotated[list[float], Field(min_length=2, max_length=2)]
Sizes = list[Positive]


class Sample(Section):
    """The embedded sample: keys of a telephone in noise, by their two tones."""

    clips: Annotated[int, Field(ge=60, le=20_000)]
    keys: Annotated[int, Field(ge=1, le=20)]
    """Most keys of a clip; with `target: class` it is always one."""


class Join(Section):
    strings: Positive
    """How many are made in all."""
    most: Positive
    """Words of a string."""


class Data(DataParams):
    SAMPLE_LICENSE: ClassVar[str] = "CC0-1.0"
    format: Literal["auto", "folders", "manifest", "kaldi", "names"]
    target: Literal["class", "transcript"]
    """What is said of a recording: one label, or words in order."""
    units: Literal["characters", "words"]
    """Of transcripts: what the network spells them with."""
    pattern: str | None
    """Regular expression for file names, with the groups `text` and perhaps `speaker`; null: names tell nothing."""
    words: dict[str, str]
    """Parts of a text between spaces or `_` -> what is written for them; others stay as they are."""
    rate: Annotated[int, Field(ge=4000, le=48_000)]
    """Samples a second that everything is resampled to, Hz."""
    split_by: Literal["speaker", "recording"]
    """Where the source gives no splits: whether those of one speaker stay together."""
    held_out: list[str]
    """Speakers of the test split; empty: drawn."""
    join: Join | None
    """Synthetic strings that are made of recordings of single words; null: recordings stay as they are."""
    sample: Sample

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"found {value!r}, which is no regular expression: {error}") from None
        return value


class Validate(ValidateParams):
    """Limits of a recording; its level and offset are of full scale."""

    seconds: Range
    max_clipped: Probability
    """Share of samples at full scale."""
    min_level: float = Field(le=0)
    """dB; what is quieter counts as silence."""
    max_offset: Probability
    """Largest mean of the samples, either way."""
    min_rate: Positive
    """Hz, of the source's file."""


class Augment(Section):
    """Each entry is the probability (0 switches it off) of one change of a copy; strengths stand beside."""

    copies: int = Field(ge=0, le=50)
    shift: Probability
    shift_ms: float = Field(ge=0)
    speed: Probability
    speed_range: Range
    gain: Probability
    gain_db: Range
    noise: Probability
    snr_db: Range


class Features(Section):
    """The front end, a part of the graph: raw samples, or spectra of windows that overlap."""

    kind: Literal["raw", "mel", "mfcc"]
    samples: Positive
    """`raw`: the first so many of a recording are looked at."""
    window_ms: float = Field(gt=0)
    hop_ms: float = Field(gt=0)
    mels: Positive
    coefficients: Positive
    """Of `mfcc`."""


class Body(Section):
    """The network behind the front end."""

    arch: Literal["lstm", "gru", "crnn", "dilated"]
    convolutions: Sizes
    """`crnn`: channels of each; the first one halves time, all halve frequency."""
    units: Sizes
    """Of each recurrent layer, a direction; `dilated`: inner channels of each block."""
    width: Positive
    """`dilated`: channels between blocks."""
    bidirectional: bool

    @model_validator(mode="after")
    def _fitting(self) -> Body:
        if not self.units or (self.arch == "crnn" and not self.convolutions):
            raise ValueError(f"arch {self.arch}: expected at least one entry in `units`, of a crnn in `convolutions`")
        return self


class Train(TrainParams):
    time_masks: int = Field(ge=0)
    """SpecAugment (Park et al. 2019, https://arxiv.org/abs/1904.08779): masks along time, of `time_frames` at most."""
    time_frames: Positive
    band_masks: int = Field(ge=0)
    bands: Positive


class Quantize(compression.Quantize):
    method: Literal["minmax", "entropy", "percentile"]
