"""The `classification` section of `params.yaml`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from core import compression
from core.params import ExportParams, ModelParams, Name, TaskParams
from modalities.images import params as images
from modalities.images.params.backbones import Backbone, Levels, fits

MODALITY = "images"


class Data(images.Data):
    format: Literal["auto", "folders", "manifest"]
    multilabel: bool
    """Whether an image may have several labels, or none."""


class Model(ModelParams):
    backbone: Backbone
    """One of `modalities.images.backbones` and its settings; those left out are as published."""
    image_size: images.Size
    """Of the network's input; images are fitted into it with their aspect kept."""
    colour: Literal["rgb", "grey"]
    levels: Levels
    """Maps other than the last are averaged to its size."""
    dropout: float = Field(ge=0, lt=1)
    """Before the predicting layer."""
    label_smoothing: float = Field(ge=0, lt=1)
    """Share of the target that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567, section 7)."""

    @model_validator(mode="after")
    def _fitting(self) -> Model:
        fits(self.backbone["name"], self.weights, self.levels)
        return self


class Train(images.Train):
    backbone_lr: float = Field(ge=0)
    """Learning rate of the backbone, as a share of `lr`."""
    freeze: Literal["none", "all"]
    """Whether a pretrained backbone stays as it is, and only the predicting layer learns."""
    mixup: float = Field(ge=0)
    """Alpha of mixup, 0: off; batches are mixed."""
    cutmix: float = Field(ge=0)
    """Alpha of CutMix, 0: off; with both, each batch takes one of them."""


class Prune(compression.Prune):
    """`ratio` is of the channels of every layer but the predicting one, rounded (`compression/networks/pruning.py`)."""

    hint: Literal["none", "attention", "relations"]
    hint_weight: float = Field(ge=0)
    train: Train


class Distill(compression.Distill):
    backbone: Backbone
    """As in `model`."""
    hint: Literal["none", "attention", "fitnets", "relations"]
    """What of the teacher's maps the student imitates: `compression.networks.distillation.Hint`."""
    hint_weight: float = Field(ge=0)
    train: Train


class Params(TaskParams):
    data: Data
    validation: images.Validate = Field(alias="validate")
    augment: images.Augment | None
    model: Model
    train: Train
    prune: dict[Name, Prune] | None
    distill: dict[Name, Distill] | None
    export: ExportParams
    quantize: images.Quantize
    explain: images.Explain | None

    @model_validator(mode="after")
    def _learning(self) -> Params:
        if self.train.freeze == "all" and self.model.weights == "none":
            raise ValueError("train.freeze is `all`, and model.weights `none`: a random backbone would never learn")
        for student in (self.distill or {}).values():
            fits(student.backbone["name"], "none", self.model.levels)
        return self
