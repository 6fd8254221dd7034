"""The `detection` section of `params.yaml`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from core.params import (
    DataParams,
    ExportParams,
    ModelParams,
    Name,
    Positive,
    Probability,
    Section,
    TaskParams,
    TrainParams,
    ValidateParams,
)

MODALITY = "images"


class Sample(Section):
    """The embedded sample: handwritten digits on photographs."""

    images: Annotated[int, Field(ge=20, le=20000)]
    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    """Height and width, pixels."""


class Data(DataParams):
    SAMPLE_LICENSE: ClassVar[str] = (
        "CC BY 4.0 (digits: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI) and CC BY 2.0 "
        "(photographs: danielbuechele and vultilion, flickr.com), both as scikit-learn carries them"
    )
    format: Literal["auto", "coco", "voc", "yolo"]
    classes: list[str] | None
    """Class names that may occur; null takes those that the source declares (or, for VOC, those found)."""
    unannotated: Literal["keep", "drop", "quarantine"]
    """Images without a box: background examples, left out, or reported as bad."""
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


class Model(ModelParams):
    arch: Literal["fcos"]
    backbone: Literal[
        "cnn",
        "resnet18",
        "resnet34",
        "resnet50",
        "densenet121",
        "mobilenet_v1",
        "mobilenet_v2",
        "efficientnet_lite0",
    ]
    image_size: Annotated[list[int], Field(min_length=2, max_length=2)]
    """Height and width of the network's input, pixels, multiples of 32."""

    @field_validator("image_size")
    @classmethod
    def _multiples(cls, value: list[int]) -> list[int]:
        if any(side < 64 or side % 32 for side in value):
            raise ValueError(f"found {value}, expected multiples of 32, at least 64")
        return value

    width: Positive
    """Channels of the feature pyramid."""
    tower: Positive
    """Convolutions in each head."""
    score_threshold: Probability
    nms_iou: Probability
    max_detections: Positive

    @model_validator(mode="after")
    def _packaged(self) -> Model:
        if self.weights == "packaged" and self.backbone != "efficientnet_lite0":
            raise ValueError(
                f"`weights: packaged`, but no weights are packaged for backbone {self.backbone}, only for "
                "efficientnet_lite0; set `weights: none` or give a file, or take that one"
            )
        return self


class Jitter(Section):
    """Random views made at load, anew in every epoch; `augment` makes the costlier copies once."""

    scale: Annotated[list[float], Field(min_length=2, max_length=2)]
    """Smallest and largest zoom; 1 just fits the image into the network's input."""
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
    backbone_lr: float = Field(ge=0)
    """Learning rate of the backbone, as a share of `lr`."""
    freeze_blocks: int = Field(ge=0, le=16)
    """The stem and this many first blocks of the backbone are not trained; 0, or `model.weights: none`: all are."""
    jitter: Jitter


class Prune(Section):
    ratio: float = Field(gt=0, lt=1)
    """Share of the channels of every layer but the predicting ones that is removed, rounded to multiples of 8."""
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
    """Loss of mAP on the validation split above which an int8 or fp16 model is refused as collapsed."""


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

    @model_validator(mode="after")
    def _freezable(self) -> Params:
        if self.model.backbone == "cnn" and self.model.weights != "none" and self.train.freeze_blocks:
            raise ValueError(f"train.freeze_blocks: found {self.train.freeze_blocks}, expected 0: a cnn has no blocks")
        return self
