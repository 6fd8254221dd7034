"""The `detection` section of `params.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from core import compression
from core.params import (
    ExportParams,
    ModelParams,
    Name,
    Positive,
    Probability,
    TaskParams,
)
from modalities.images import params as images
from modalities.images.params.backbones import fits

MODALITY = "images"


class Data(images.Data):
    format: Literal["auto", "coco", "voc", "yolo"]
    unannotated: Literal["keep", "drop", "quarantine"]
    """Images without a box: background examples, left out, or reported as bad."""


class Validate(images.Validate):
    min_box: float = Field(ge=0)
    """Smallest width and height of a box, pixels."""


class Augment(images.Augment):
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
    def _fitting(self) -> Model:
        fits(self.backbone, self.weights)
        return self


class Train(images.Train):
    backbone_lr: float = Field(ge=0)
    """Learning rate of the backbone, as a share of `lr`."""
    freeze_blocks: int = Field(ge=0, le=16)
    """The stem and this many first blocks of the backbone are not trained; 0, or `model.weights: none`: all are."""


class Prune(compression.Prune):
    """`ratio` is of the channels of every layer but the predicting ones, rounded: `compression/networks/pruning.py`."""

    hint_weight: float = Field(ge=0)
    train: Train


class Distill(compression.Distill):
    width: Positive
    depth: float = Field(gt=0, le=1)
    """Share of the backbone's blocks that the student keeps."""
    hint_weight: float = Field(ge=0)
    train: Train


class Params(TaskParams):
    data: Data
    validation: Validate = Field(alias="validate")
    augment: Augment
    model: Model
    train: Train
    prune: dict[Name, Prune]
    distill: dict[Name, Distill]
    export: ExportParams
    quantize: images.Quantize

    @model_validator(mode="after")
    def _freezable(self) -> Params:
        if self.model.backbone == "cnn" and self.model.weights != "none" and self.train.freeze_blocks:
            raise ValueError(f"train.freeze_blocks: found {self.train.freeze_blocks}, expected 0: a cnn has no blocks")
        return self
