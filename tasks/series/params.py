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


class Sample(Section):
    """The embedded sample."""

    kind: Literal["seasonal", "addition", "sine"]
    count: Annotated[int, Field(ge=1, le=100_000)]
    """Series."""
    steps: Annotated[int, Field(ge=8, le=100_000)]
    """Of each; of `addition` the bits of a sum."""


class Data(DataParams):
    SAMPLE_LICENSE: ClassVar[str] = "CC0-1.0 (made by this program)"
    format: Literal["auto", "csv", "jsonl", "parquet"]
    goal: Literal["forecast", "label"]
    """What is told of a window: the values that follow, or a class."""
    time: str | None
    """Its column; null: the rows of a series are its steps."""
    id: str | None
    """The column that names the series of a row; null: there is one."""
    values: list[str] | None = Field(min_length=1)
    """Columns that are seen; null: all of numbers."""
    targets: list[str] | None = Field(min_length=1)
    """Columns that are forecast; null: the values. A value that is no target is a covariate, known up to the present."""
    label: str | None
    """The column of classes, for `goal: label`."""
    label_of: Literal["step", "whole"]
    """Whether each step has a class, or the window one, that of its last step."""
    classes: list[str] | None
    every: str | None = Field(min_length=1)
    """Between two steps, as pandas writes it (`1h`, `15min`, `1D`), or a number; null: what is commonest."""
    irregular: Literal["refuse", "resample"]
    """Rows beside the clock: an error, or each step is the mean of its rows."""
    fill: Literal["none", "previous", "linear"]
    max_gap: int = Field(ge=0)
    """Steps of a gap that is filled at most."""
    steps: Positive | None
    """So many steps of the clock are read; null: all."""
    split_by: Literal["time", "id"]
    window: Positive
    """Steps that are seen."""
    horizon: Positive
    """Steps that are forecast."""
    stride: Positive
    """Steps between two forecasts of a held-out split: its origins roll through it."""
    season: Positive
    """Steps of the period that the seasonal naive forecast repeats, and that MASE is in units of."""
    sample: Sample

    @model_validator(mode="after")
    def _fitting(self) -> Data:
        if (self.goal == "label") != (self.label is not None):
            raise ValueError(
                f"label: found {self.label!r} with `goal: {self.goal}`; a column is named for `label` alone"
            )
        if self.goal == "forecast" and self.split_by != "time":
            raise ValueError("split_by: found 'id', expected 'time': a forecast is held against what came later")
        if self.split_by == "id" and self.id is None:
            raise ValueError("split_by: `id` needs the column of series, `id`")
        return self


class Validate(ValidateParams):
    reach: float = Field(gt=0)
    """Times its interquartile range that a value may be away from the median of train."""
    max_still: Positive | None
    """Steps at most in which a value does not change: a sensor that hangs; null: not asked."""


class Model(ModelParams):
    arch: Literal["rnn", "lstm", "gru", "birnn", "seq2seq", "dilated", "patch", "linear"]
    cell: Literal["rnn", "lstm", "gru"]
    """Of seq2seq and birnn."""
    peephole: bool
    """Of lstm: its gates see its memory, too."""
    width: Positive
    layers: Annotated[int, Field(ge=1, le=12)]
    kernel: Annotated[int, Field(ge=2, le=9)]
    """Of dilated."""
    patch: Positive
    """Steps of a patch; half as many lie between two."""
    heads: Positive
    """Of patch."""
    dropout: float = Field(ge=0, lt=1)
    normalise: Literal["window", "train", "none"]
    """By mean and deviation of the window, of train, or not at all."""
    quantiles: list[Annotated[float, Field(gt=0, lt=1)]]
    loss: Literal["pinball", "mse", "mae"]

    @model_validator(mode="after")
    def _fitting(self) -> Model:
        if 0.5 not in self.quantiles or sorted(set(self.quantiles)) != self.quantiles:
            raise ValueError(
                f"quantiles: found {self.quantiles}, expected rising ones with 0.5, the forecast, among them"
            )
        if self.loss != "pinball" and len(self.quantiles) > 1:
            raise ValueError(f"loss: `{self.loss}` is of one number; set quantiles to [0.5], or take pinball")
        if self.peephole and self.arch != "lstm":
            raise ValueError(f"peephole: is of `arch: lstm`, found {self.arch}")
        return self


class Prune(compression.Prune):
    """`ratio` is of the channels of every layer but the last, of `arch: dilated`; of others take another pattern."""

    train: TrainParams


class Distill(compression.Distill):
    width: Positive
    layers: Annotated[int, Field(ge=1, le=12)]
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
            raise ValueError(
                f"model.arch: found {arch} with `data.goal: label`, expected one of {', '.join(LABELLERS)}"
            )
        apart = data.targets is not None and data.values is not None and not set(data.targets) <= set(data.values)
        if apart and (arch in OF_TARGETS or self.model.normalise == "window"):
            raise ValueError("data.targets: each must be one of data.values for `normalise: window`, patch and linear")
        if arch == "patch" and self.model.patch > data.window:
            raise ValueError(f"model.patch: found {self.model.patch}, expected at most data.window, {data.window}")
        if any(each.pattern == "channels" for each in (self.prune or {}).values()) and arch != "dilated":
            raise ValueError(f"prune: channels are those of `arch: dilated`; with {arch} set `pattern: weights`")
        return self
