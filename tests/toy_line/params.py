"""The `toy_line` section of `params.yaml`: the least that a task may have, and no word of variants or copies."""

from __future__ import annotations

from typing import ClassVar

from core.params import DataParams, ModelParams, Positive, TaskParams

MODALITY = "text"


class Data(DataParams):
    SAMPLE_LICENSE: ClassVar[str] = "CC0-1.0"
    points: Positive
    """Of the embedded sample."""


class Model(ModelParams):
    width: Positive


class Params(TaskParams):
    data: Data
    model: Model
