"""The `detection` section of `params.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.params import (
    ExportParams,
    Name,
    Positive,
    Probability,
    Section,
    SourceParams,
    SplitParams,
    TaskParams,
    TrainParams,
    ValidateParams,
)


class Sample(Section):
    """The embedded sample: handwritten digits on photographs."""

    images: Annotated[int, Field(ge=20, le=20000)]
    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    """Height and width, pixels."""


class Data(SourceParams):
    format: Literal["auto", "coco", "voc", "yolo"]
    classes: list[str] | None
    """Class names that may occur; null takes those that the source declares (or, for VOC, those found)."""
    unannotated: Literal["keep", "drop", "quarantine"]
    """Images without a box: background examples, left out, or reported as bad."""
    splits: SplitParams
    sample: Sample


class Validate(ValidateParams):
    min_side: Positive
    """Smallest width and height of an image, pixels."""
    max_pixels: Positive
    """Largest width x height: above it an image counts as a decompression bomb."""
    min_box: float = Field(ge=0)
    """Smallest width and height of a box, pixels."""


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
    mixup: Probability
    mosaic: Probability


class Model(Section):
    arch: Literal["fcos"]
    backbone: Literal["efficientnet_lite0"]
    pretrained: bool
    """Start from the ImageNet weights that are packaged with the backbone."""
    image_size: Annotated[list[int], Field(min_length=2, max_length=2)]
    """Height and width of the network's input, pixels, multiples of 32."""
    width: Positive
    """Channels of the feature pyramid."""
    tower: Positive
    """Convolutions in each head."""
    score_threshold: Probability
    nms_iou: Probability
    max_detections: Positive


class Train(TrainParams):
    backbone_lr: float = Field(ge=0)
    """Learning rate of the backbone, as a share of `lr`."""
    freeze_blocks: int = Field(ge=0, le=16)
    """Stem and first blocks of the backbone that are not trained, when `pretrained`."""


class Prune(Section):
    ratio: float = Field(gt=0, lt=1)
    """Share of channels removed."""
    train: Train


class Distill(Section):
    width: Positive
    depth: float = Field(gt=0, le=1)
    """Share of the backbone's blocks that the student keeps."""
    temperature: float = Field(gt=0)
    soft_weight: Probability
    """Weight of the soft targets against the labels."""
    hint_weight: float = Field(ge=0)
    train: Train


class Quantize(Section):
    calibration: Positive
    """Train images from which activation ranges are taken."""
    method: Literal["minmax", "entropy", "percentile"]
    max_loss: float = Field(ge=0)
    """Loss of the main metric on the validation split above which the int8 model is refused as collapsed."""


class Params(TaskParams):
    data: Data
    validation: Validate = Field(alias="validate")
    augment: Augment
    model: Model
    train: Train
    prune: dict[Name, Prune]
    distill: dict[Name, Distill]
    export: ExportParams
    quantize: Quantize
