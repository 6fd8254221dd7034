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
    """How many recordings there are."""
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
    """Shortest and longest recording."""
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
    """Of each recording of train; 0: none. The originals stay in any case."""
    shift: Probability
    """Earlier or later; what leaves at one end is silence at the other."""
    shift_ms: float = Field(ge=0)
    """Milliseconds either way, at most."""
    speed: Probability
    """Slower or faster, and as much lower or higher."""
    speed_range: Range
    """Smallest and largest factor; above 1 is faster."""
    gain: Probability
    """Softer or louder; what goes beyond full scale is clipped."""
    gain_db: Range
    """Smallest and largest change, dB."""
    noise: Probability
    """White noise on top of it."""
    snr_db: Range
    """Smallest and largest ratio of the recording's level to that of the noise, dB."""


class Features(Section):
    """The front end, a part of the graph: raw samples, or spectra of windows that overlap."""

    kind: Literal["raw", "mel", "mfcc"]
    """`raw`: samples; `mel`: logarithms of the power in bands; `mfcc`: the cosine transform of these."""
    samples: Positive
    """`raw`: the first so many of a recording are looked at."""
    window_ms: float = Field(gt=0)
    """Of `mel` and `mfcc`, as the next two: what one spectrum is of, milliseconds."""
    hop_ms: float = Field(gt=0)
    """From one spectrum to the next, milliseconds."""
    mels: Positive
    """Bands of equal width on the mel scale, from 0 Hz to half the rate."""
    coefficients: Positive
    """Of `mfcc`: how many of the cosine transform are taken, the lowest first."""


class Body(Section):
    """The network behind the front end."""

    arch: Literal["lstm", "gru", "crnn", "dilated"]
    """Recurrent layers, these behind convolutions, or causal convolutions whose reach doubles from block to block. A
    student's frames are as long as its teacher's, so that of a `crnn` is one."""
    convolutions: Sizes
    """`crnn`: channels of each; the first one halves time, all halve frequency."""
    units: Sizes
    """Of each recurrent layer, a direction; `dilated`: inner channels of each block."""
    width: Positive
    """`dilated`: channels between blocks."""
    bidirectional: bool
    """Of all but `dilated`: whether recurrent layers hear a recording in both directions."""

    @model_validator(mode="after")
    def _fitting(self) -> Body:
        if not self.units or (self.arch == "crnn" and not self.convolutions):
            raise ValueError(f"arch {self.arch}: expected at least one entry in `units`, of a crnn in `convolutions`")
        return self


class Train(TrainParams):
    time_masks: int = Field(ge=0)
    """SpecAugment (Park et al. 2019, https://arxiv.org/abs/1904.08779): masks along time, of `time_frames` at most."""
    time_frames: Positive
    """Frames that a mask along time hides, at most."""
    band_masks: int = Field(ge=0)
    """Masks along frequency, of `bands` at most; 0: none."""
    bands: Positive
    """Bands, or coefficients, that a mask along frequency hides, at most."""


class Quantize(compression.Quantize):
    method: Literal["minmax", "entropy", "percentile"]
