"""The `series` section of `params.yaml`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from core import compression
from core.params import DataParams, ExportParams, ModelParams, Name, Positive, TaskParams, TrainParams, ValidateParams
from core.section import Section

MODALITY = "series"
LABELLERS = ("rnn", "lstm", "gru", "birnn", "dilated")
"""Networks that say something at every step."""
OF_TARGETS = ("patch", "linear")
"""Networks that forecast each value from its own past."""
Columns = Annotated[list[str], Field(min_length=1)]
Layers = Annotated[int, Field(ge=1, le=12)]


class Sample(Section):
    """The embedded sample: so many series of so many steps; of `addition` the steps are the bits of a sum."""

    kind: Literal["seasonal", "addition", "sine"]
    count: Annotated[int, Field(ge=1, le=100_000)]
    steps: Annotated[int, Field(ge=8, le=100_000)]


class Data(DataParams):
    SAMPLE_LICENSE: ClassVar[str] = "CC0-1.0 (made by this program)"
    format: Literal["auto", "csv", "jsonl", "parquet"]
    goal: Literal["forecast", "label"]
    """What is told of a window: the values that follow, or a class."""
    time: str | None
    """The column of time: dates, or numbers; null: the rows of a series are its steps."""
    id: str | None
    values: Columns | None
    """Columns that are seen; null: all of numbers."""
    targets: Columns | None
    """Columns that are forecast; null: the values. The other values are covariates, known up to the present."""
    label: str | None
    """The column of classes, for `goal: label`."""
    label_of: Literal["step", "whole"]
    """Whether each step has a class, or the window one, that of its last step."""
    classes: list[str] | None
    every: str | None = Field(min_length=1)
    """Between two steps, as pandas writes it (`1h`, `15min`, `1D`), or a number; null: what is commonest."""
    irregular: Literal["refuse", "resample"]
    fill: Literal["none", "previous", "linear"]
    """By what gaps of at most `max_gap` steps are filled."""
    max_gap: int = Field(ge=0)
    steps: Positive | None
    """So many steps of the clock are read; null: all."""
    split_by: Literal["time", "id"]
    window: Positive
    """Steps that are seen."""
    horizon: Positive
    stride: Positive
    """Steps between two forecasts of a held-out split: their origins roll through it."""
    season: Positive
    """Steps of the period that the seasonal naive forecast repeats."""
    sample: Sample

    @model_validator(mode="after")
    def _fitting(self) -> Data:
        if (self.goal == "label") != (self.label is not None):
            raise ValueError(f"label: found {self.label!r} with `goal: {self.goal}`; `goal: label` alone has a column")
        if self.split_by == "id" and (self.goal == "forecast" or self.id is None):
            raise ValueError(
                "split_by: `id` is for `goal: label` with `id`; forecasts are held against what came later"
            )
        return self


class Validate(ValidateParams):
    reach: float = Field(gt=0)
    """Interquartile ranges of train that a value may be away from its median."""
    max_still: Positive | None
    """Steps in a row with the same value at most, or a sensor hangs; null: not asked."""


class Model(ModelParams):
    arch: Literal["rnn", "lstm", "gru", "birnn", "seq2seq", "dilated", "patch", "linear"]
    cell: Literal["rnn", "lstm", "gru"]
    peephole: bool
    width: Positive
    layers: Layers
    kernel: Annotated[int, Field(ge=2, le=9)]
    """Of `dilated`: steps that a convolution looks at."""
    patch: Positive
    heads: Positive
    dropout: float = Field(ge=0, lt=1)
    normalise: Literal["window", "train", "none"]
    """By mean and deviation of the window, of train, or not at all."""
    quantiles: list[Annotated[float, Field(gt=0, lt=1)]]
    """Rising, and 0.5 among them, which is the forecast; labels use none."""
    loss: Literal["pinball", "mse"]

    @model_validator(mode="after")
    def _fitting(self) -> Model:
        if 0.5 not in self.quantiles or sorted(set(self.quantiles)) != self.quantiles:
            raise ValueError(f"quantiles: found {self.quantiles}, expected rising ones, 0.5, the forecast, among them")
        if self.loss == "mse" and len(self.quantiles) > 1:
            raise ValueError("loss: `mse` is of one number; set quantiles to [0.5], or take pinball")
        if self.peephole and self.arch != "lstm":
            raise ValueError(f"peephole: is of `arch: lstm`, found {self.arch}")
        if self.arch == "patch" and self.width % self.heads:
            raise ValueError(f"heads: found {self.heads}, which do not divide the width, {self.width}")
        return self


class Prune(compression.Prune):
    """`ratio` is of the channels of every layer but the last, of `arch: dilated`; others take another pattern."""

    train: TrainParams


class Distill(compression.Distill):
    width: Positive
    layers: Layers
    train: TrainParams


class Quantize(compression.Quantize):
    method: Literal["minmax", "entropy", "percentile"]


class Params(TaskParams):
    data: Data
    validation: Validate = Field(alias="validate")
    model: Model
    train: TrainParams
    prune: dict[Name, Prune] | None
    distill: dict[Name, Distill] | None
    export: ExportParams
    quantize: Quantize

    @model_validator(mode="after")
    def _together(self) -> Params:
        data, arch = self.data, self.model.arch
        if data.goal == "label" and arch not in LABELLERS:
            raise ValueError(f"model.arch: found {arch} with `data.goal: label`, expected {', '.join(LABELLERS)}")
        unseen = data.targets and data.values and not set(data.targets) <= set(data.values)
        if unseen and (arch in OF_TARGETS or self.model.normalise == "window"):
            raise ValueError("data.targets: must be among data.values for `normalise: window`, `patch` and `linear`")
        if arch == "patch" and self.model.patch > data.window:
            raise ValueError(f"model.patch: found {self.model.patch}, expected at most data.window, {data.window}")
        if arch != "dilated" and any(each.pattern == "channels" for each in (self.prune or {}).values()):
            raise ValueError(f"prune: channels are those of `arch: dilated`; with {arch} set `pattern: weights`")
        return self
