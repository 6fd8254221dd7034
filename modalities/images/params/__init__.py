"""Sections of `params.yaml` that tasks on images share; a task's `params` takes one or adds to it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from core import compression
from core.params import DataParams, Positive, Probability, Section, TrainParams, ValidateParams

Size = Annotated[list[Positive], Field(min_length=2, max_length=2)]
"""Height and width, pixels."""


class Sample(Section):
    """The embedded sample: handwritten digits on photographs."""

    images: Annotated[int, Field(ge=20, le=20000)]
    size: Size


class Data(DataParams):
    SAMPLE_LICENSE: ClassVar[str] = (
        "CC BY 4.0 (digits: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI) and CC BY 2.0 "
        "(photographs: danielbuechele and vultilion, flickr.com), both as scikit-learn carries them"
    )
    classes: list[str] | None
    """Class names that may occur; null takes those that the source declares, or those found."""
    sample: Sample


class Validate(ValidateParams):
    min_side: Positive
    """Smallest width and height of an image, pixels."""
    max_pixels: Positive
    """Largest width x height: above it an image counts as a decompression bomb."""


class Augment(Section):
    """Each entry is the probability (0 switches it off) of one transform for a copy; strengths stand beside."""

    copies: int = Field(ge=0, le=200)
    """Augmented copies of each train image; the originals are kept as well."""
    flip: Probability
    rotate: Probability
    rotate_degrees: float = Field(ge=0, le=45)
    scale: Probability
    scale_range: Annotated[list[float], Field(min_length=2, max_length=2)]
    crop: Probability
    colour: Probability
    brightness: float = Field(ge=0, le=1)
    contrast: float = Field(ge=0, le=1)
    hue: float = Field(ge=0, le=0.5)
    erase: Probability


class Jitter(Section):
    """Random views made at load, anew in every epoch; `augment` makes the costlier copies once."""

    scale: Annotated[list[float], Field(min_length=2, max_length=2)]
    """Smallest and largest zoom; 1 just fits the image into the network's input."""
    shift: float = Field(ge=0, le=0.5)
    """Farthest move along each side, as a share of it, in whole pixels, which blurs none of a picture that has
    the size of the network's input."""
    aspect: float = Field(ge=0, le=1)
    """Largest change of the ratio of the sides, as a natural logarithm."""
    colour: float = Field(ge=0, le=1)
    """Largest relative change of contrast, and of brightness as a share of half the range."""
    flip_horizontal: Probability
    flip_vertical: Probability

    @field_validator("scale")
    @classmethod
    def _rising(cls, value: list[float]) -> list[float]:
        if not 0 < value[0] <= value[1] <= 10:
            raise ValueError(f"found {value}, expected 0 < smallest <= largest <= 10")
        return value


class Train(TrainParams):
    channels_last: bool
    """Whether a picture's colours lie side by side in memory: faster for most convolutions. `precision: auto` measures
    both ways and begins with this one."""
    jitter: Jitter


class Explain(Section):
    samples: Positive
    """Test images whose prediction is explained."""
    methods: list[Literal["cam", "occlusion", "lime", "kernel_shap"]] = Field(min_length=1)
    window: float = Field(gt=0, le=1)
    """Side of the window that `occlusion` slides, as a share of the image's."""
    cells: Annotated[int, Field(ge=2, le=64)]
    """`lime`, `kernel_shap`: the image is cut into so many cells each way."""
    draws: Positive
    """`lime`, `kernel_shap`: so many coverings are tried."""


class Quantize(compression.Quantize):
    method: Literal["minmax", "entropy", "percentile"]
