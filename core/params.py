"""`params.yaml` as typed, checked values; every problem is reported at once, with its place and the valid choices.

Each task describes its own section in `tasks/<task>/params.py` as a class `Params(TaskParams)`. The sections here are
what all tasks share. No field has a default but `search` and `compare.budget.device`, which a task may
lack: `params.yaml` shows every knob that there is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_serializer, field_validator, model_validator

from core import chains, devices, knobs
from core import task as tasks_module
from core.address import has_user, public
from core.errors import ModelError, ParamsError, suggest
from core.knobs import Knobs
from core.section import Section, typed

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""A name that becomes part of a DVC stage, a command line and a path: nothing else may stand in a `cmd`. No `-`, which
joins names in a stage's key."""
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class SourceParams(Section):
    """Where the raw data comes from."""

    source: str = Field(min_length=1)
    """`sample`, a local path, an http(s) URL of an archive (with `sha256`), or a git URL (with `commit`)."""
    sha256: str | None
    commit: str | None
    files: list[str] | None
    """Files and folders that are fetched of a git source, relative to its root; null: all."""
    allow_private: bool
    """Whether a URL may lead to a private or loopback address."""

    @property
    def kind(self) -> Literal["sample", "path", "archive", "git"]:
        if self.source == "sample":
            return "sample"
        if re.match(r"^(git\+|ssh://|git://|git@)|^https?://[^?#]*\.git/?([?#]|$)", self.source, re.I) or self.commit:
            return "git"
        return "archive" if re.match(r"^https?://", self.source, re.I) else "path"

    @property
    def local(self) -> Path:
        """Of a local path: where it leads, with `~` and variables of the environment (`$HOME`) filled in."""
        return Path(os.path.expandvars(self.source)).expanduser()

    @property
    def address(self) -> str:
        """The source as it may be written: without the secrets that a URL may hold."""
        return public(self.source)

    @field_serializer("source")
    def _written(self, source: str) -> str:
        """What is dumped ends in MLflow and in packages."""
        return public(source)

    @model_validator(mode="after")
    def _pinned(self) -> SourceParams:
        _refuse_secret(self.source)
        if self.kind == "archive" and not re.fullmatch(r"[0-9a-f]{64}", self.sha256 or ""):
            raise ValueError("an archive URL needs `sha256`, 64 lower-case hex digits (sha256sum FILE prints it)")
        if self.kind == "git" and not re.fullmatch(r"[0-9a-f]{40}", self.commit or ""):
            raise ValueError("a git source needs `commit`, the full 40 hex digits (git rev-parse HEAD prints it)")
        if self.files is not None and self.kind != "git":
            raise ValueError("`files` is for git sources; set it to null, other sources are read whole")
        return self

    @field_validator("files")
    @classmethod
    def _inside(cls, value: list[str] | None) -> list[str] | None:
        if value is None:
            return None
        names = [name.removesuffix("/") for name in value]
        if not names:
            raise ValueError("the list is empty; null fetches all")
        for name in names:
            path = PurePosixPath(name)
            if name != str(path) or path.is_absolute() or {".", ".."} & set(name.split("/")) or not name.isprintable():
                raise ValueError(f"found {name!r}, expected a path from the root of the repository, as `git ls-files`")
        return _unique(names)


def _refuse_secret(url: str) -> None:
    if has_user(url):
        # Not quoted: the message may end in a log. This file is committed, and its values are logged to MLflow.
        raise ValueError("the URL holds a user or password; put them into ~/.netrc (git: a credential helper)")


class SplitParams(Section):
    """Shares of the data for splits that the source does not give."""

    val: float = Field(gt=0, lt=0.5)
    test: float = Field(gt=0, lt=0.5)


class DataParams(SourceParams):
    """Sections of tasks add formats, what the sample holds, and its licence."""

    SAMPLE_LICENSE: ClassVar[str]
    license: str | None = Field(min_length=1)
    """Of the data, for the model card; null: not stated, and the card says so (but the sample's is known)."""
    weights_license: str | None = Field(min_length=1)
    """Of `model.weights`, likewise (but that of packaged ones is known). It stands here to train nothing again."""
    splits: SplitParams

    @property
    def known_license(self) -> str | None:
        """Licence of the data as far as it is known."""
        return self.license or (self.SAMPLE_LICENSE if self.kind == "sample" else None)


class ModelParams(Section):
    """Sections of tasks add architectures and sizes."""

    weights: str = Field(min_length=1)
    """What training starts from: `packaged` (what a package of the environment carries), `none` (random), a local path,
    or an http(s) URL (with `weights_sha256`); a file is safetensors, or a torch state dict. A student starts from
    packaged weights or from random ones, never from the file, which is made for the base's shapes."""
    weights_sha256: str | None

    @property
    def weights_kind(self) -> Literal["packaged", "none", "path", "url"]:
        if self.weights in ("packaged", "none"):
            return self.weights  # type: ignore[return-value]  # mypy narrows no string to a literal
        return "url" if re.match(r"^https?://", self.weights, re.I) else "path"

    @property
    def weights_address(self) -> str:
        """As it may be written: without the secrets that a URL may hold."""
        return public(self.weights)

    @field_serializer("weights")
    def _written(self, weights: str) -> str:
        """What is dumped ends in MLflow and in packages."""
        return public(weights)

    @model_validator(mode="after")
    def _weights_pinned(self) -> ModelParams:
        _refuse_secret(self.weights)
        kind, digest = self.weights_kind, self.weights_sha256
        if kind == "url" and digest is None:
            raise ValueError("a URL in `weights` needs `weights_sha256`, 64 lower-case hex digits (sha256sum FILE)")
        if digest is not None and kind not in ("path", "url"):
            raise ValueError(f"`weights_sha256` is for a file; set it to null with `weights: {kind}`")
        if digest is not None and not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError(f"weights_sha256: found {digest!r}, expected 64 lower-case hex digits (sha256sum FILE)")
        return self


class ValidateParams(Section):
    """Sections of tasks add their own limits."""

    max_bad: Probability
    """Largest share of rows in quarantine with which the pipeline goes on."""


class OptimizerParams(Section):
    """Of each name the knobs that it has; the others do nothing, and stay for a change of mind."""

    name: Literal["sgd", "adagrad", "adam", "adamw"]
    """In all but `adamw`, `weight_decay` is an L2 penalty in the gradient (Loshchilov and Hutter 2019, section 2)."""
    momentum: float = Field(ge=0, lt=1)
    """Of sgd; 0: the plain step along the gradient."""
    nesterov: bool
    """Of sgd with momentum."""
    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)]
    """Of adam and adamw: decays of the averages of the gradient and of its square."""
    eps: float = Field(gt=0)
    """Of adam, adamw and adagrad: added to the root that the step is divided by."""

    @model_validator(mode="after")
    def _something_to_look_ahead_of(self) -> OptimizerParams:
        if self.name == "sgd" and self.nesterov and not self.momentum:
            raise ValueError("nesterov: found true with `momentum: 0`, expected a momentum above 0")
        return self


class ScheduleParams(Section):
    """What the learning rate does after the linear warm-up; knobs that a name does not have do nothing."""

    name: Literal["cosine", "step", "constant", "plateau"]
    floor: Probability
    """Of cosine and plateau: the share of `lr` below which it does not fall; cosine ends there."""
    factor: float = Field(gt=0, lt=1)
    """Of step and plateau: what the rate is multiplied with."""
    epochs: Positive
    """Of step: how many epochs it waits between two steps, the warm-up among them."""
    patience: Positive
    """Of plateau: validations without a better task metric before it lowers the rate."""


class TrainParams(Section):
    """How to optimise; train, prune (fine-tuning) and distill share it."""

    epochs: Positive
    batch_size: Positive
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    optimizer: OptimizerParams
    schedule: ScheduleParams
    warmup_steps: int = Field(ge=0)
    clip_norm: float | None = Field(ge=0)
    """Largest norm of all gradients together; those above are scaled down. 0 or null: off."""
    clip_value: float | None = Field(ge=0)
    """Largest absolute value of each gradient. 0 or null: off."""
    ema_decay: float = Field(ge=0, lt=1)
    """Decay of the exponential moving average of the weights, 0: off."""
    patience: Positive | None
    """Validations without a better task metric before training stops; null: never."""
    validate_every: Positive
    """Epochs between validations."""
    validate_samples: Positive
    """Samples of the validation split that are watched at most, a seeded choice."""
    precision: Literal["auto", "32", "bf16", "fp16"]
    """bf16, fp16: mixed with 32. `auto`: 32, or mixed precision where a short measurement at the start finds it faster,
    and of tasks on pictures `channels_last` likewise; another machine, or another day, may choose otherwise."""
    compile: bool
    """Whether torch.compile writes the network of the steps anew; needs a C++ compiler, on a GPU Triton."""
    devices: Positive
    """GPUs, or processes on a CPU, of this machine; each step takes a batch of `batch_size` on every one."""
    strategy: Literal["auto", "ddp", "fsdp"]
    workers: int = Field(ge=0)

    @model_validator(mode="after")
    def _fits(self) -> TrainParams:
        problems = []
        if self.clip_norm and self.clip_value:
            problems.append("`clip_norm` and `clip_value` are both set; set one of them to null")
        if self.precision == "auto" and self.strategy == "fsdp":
            problems.append("`precision: auto` measures the whole network, which `strategy: fsdp` shards; name one")
        if self.compile and self.strategy == "fsdp":
            problems.append("`compile: true` is for whole networks, which `strategy: fsdp` shards; set it to false")
        if self.clip_norm and self.strategy == "fsdp":
            problems.append("`strategy: fsdp` cannot clip by norm (Lightning's does not); use `clip_value`, or null")
        lowers_after = self.schedule.patience if self.schedule.name == "plateau" else 0
        if self.patience is not None and lowers_after >= self.patience:
            stops = f"`patience` ({self.patience}), after which training stops"
            problems.append(f"schedule.patience: found {lowers_after}, expected less than {stops}")
        if problems:
            raise ValueError("; ".join(problems))
        return self


class ExportParams(Section):
    opset: int = Field(ge=18, le=20)
    tolerance: float = Field(gt=0)
    """Largest absolute difference between torch and ONNX Runtime on real samples, in units of the outputs."""
    samples: Positive
    """Real samples compared."""


class EvaluateParams(Section):
    bootstrap: Positive
    """Resamples of the test split for the 95 % intervals."""
    samples: Positive
    """Example predictions shown in the report."""


class TimingParams(Section):
    rounds: int = Field(ge=20)
    """Calls of every candidate at batch 1 on one thread, at least; a quarter of them at batch 8, and with all cores."""
    patience_s: float = Field(ge=0)
    """How long a measurement on one thread may go on beyond that while a ratio is known to no better than 1 %."""


class BudgetParams(Section):
    max_mb: float = Field(gt=0)
    """Megabytes (10^6 bytes) of the model folder's ONNX files."""
    max_ms: float = Field(gt=0)
    """Median latency at batch 1 on one thread, milliseconds."""
    device: devices.Name | None = None
    """Whose milliseconds these are, and which speed is looked for: a profile in `devices/`; null: this machine."""
    max_loss: float = Field(ge=0)
    """Margin of the paired test on `val`: the loss of quality against `base` in the first of `precisions`, in units of
    the task's main metric, that a candidate must show not to have (`evaluation/inferiority.py`)."""
    worst_quality: float
    """Value of the task's main metric below which (above which, where lower is better) nothing ships."""

    @field_validator("device")
    @classmethod
    def _profiled(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                devices.whole(value)
            except ModelError as error:
                raise ValueError(str(error)) from None
        return value


class CompareParams(Section):
    budget: BudgetParams


class TaskParams(Section):
    """What every task has; each task's `Params` narrows these sections and adds its own.

    A section `augment`, `prune`, `distill` or `quantize` gives the task the stage of that name; `prune` and `distill`
    map names of variants to their settings.
    """

    precisions: list[Literal["fp32", "int8", "fp16"]] = Field(min_length=1)
    """Evaluated and compared; what is not fp32 is made by the stage `quantize`."""
    data: DataParams
    validation: ValidateParams = Field(alias="validate")  # `validate` is taken by pydantic
    model: ModelParams
    train: TrainParams
    export: ExportParams
    evaluate: EvaluateParams
    timing: TimingParams
    compare: CompareParams
    search: Knobs | None = None
    """What `python -m pipelines.search` tries of the smaller variants, and of `quantize` with each of them."""

    @field_validator("precisions")
    @classmethod
    def _once(cls, value: list[str]) -> list[str]:
        return _unique(value)

    @model_validator(mode="after")
    def _consistent(self) -> TaskParams:
        made = [*(getattr(self, "prune", None) or {}), *(getattr(self, "distill", None) or {})]
        if "base" in made or len(set(made)) < len(made):
            raise ValueError("a variant is named once only, in `prune` or in `distill`, and not `base`")
        chains.check(self)
        smaller = {**(getattr(self, "prune", None) or {}), **(getattr(self, "distill", None) or {})}
        knobs.check(self.search or {}, smaller, getattr(self, knobs.QUANTIZE, None))
        aware = [name for name, each in smaller.items() if getattr(each, "quantization_aware", False)]
        if aware and getattr(getattr(self, "quantize", None), "weight_bits", 8) != 8:
            told = "learns to be rounded to 8 bits, and quantize.weight_bits is 7"
            raise ValueError(f"{aware[0]}.quantization_aware {told}")
        if set(self.precisions) - {"fp32"} and getattr(self, "quantize", None) is None:
            raise ValueError(f"precisions: found {self.precisions}, expected ['fp32']: there is no section `quantize`")
        return self


def _unique(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise ValueError("an entry stands twice")
    return value


class Head(Section):
    """The top of `params.yaml`: what the pipeline makes."""

    seed: int = Field(ge=0, lt=2**31)
    threads: int = Field(ge=0, le=1024)
    """CPU threads of a stage, 0: all cores."""
    learning_threads: int = Field(ge=1, le=1024)
    """CPU threads of a stage that learns (train, prune, distill), whatever cores there are: sums in another order give
    another model."""
    environment: str = Field(pattern=r"^requirements/[a-z][a-z0-9-]*\.lock$")
    """The lock file that every stage depends on."""
    tasks: list[Name] = Field(min_length=1)

    @field_validator("tasks")
    @classmethod
    def _once(cls, value: list[str]) -> list[str]:
        return _unique(value)


def load(path: Path = Path("params.yaml")) -> tuple[Head, dict[str, TaskParams]]:
    """Read and check all of `params.yaml`.

    Returns: the head and the params of each task named in `tasks`.
    Raises: ParamsError with every problem of every section.
    """
    return check(read(path))


def read(path: Path) -> dict[str, Any]:
    """The file as plain values, see `parse`. Raises: ParamsError."""
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        raise ParamsError([f"{path} does not exist; run from the repository root"]) from None
    except UnicodeDecodeError as error:
        raise ParamsError([f"{path} is not UTF-8 at byte {error.start}"]) from None


def parse(text: str, path: Path) -> dict[str, Any]:
    """YAML as plain values; tags, duplicate keys and anything but a mapping are refused. `path` is for messages.

    Raises: ParamsError.
    """
    from core import strict_yaml

    try:
        return strict_yaml.mapping(text)
    except ValueError as error:
        raise ParamsError([f"{path} {error}"]) from None


def check(values: dict[str, Any]) -> tuple[Head, dict[str, TaskParams]]:
    """Check plain values; see `load`."""
    problems: list[str] = []
    known = tasks_module.names()
    head_keys = list(Head.model_fields)
    sections = {k: v for k, v in values.items() if k not in head_keys}
    for key in sections:
        if key not in known:
            problems.append(f"{key}: unknown key; {suggest(str(key), [*head_keys, *known])}")
    head = typed(Head, {k: v for k, v in values.items() if k in head_keys}, "", problems)
    parsed: dict[str, TaskParams] = {}
    for name in known:
        if name not in sections:
            continue
        section = typed(tasks_module.load(name, "params").Params, sections[name], name, problems)
        if section is not None:
            parsed[name] = section
    for name in head.tasks if head else []:
        if name not in known:
            problems.append(f"tasks: unknown task {name!r}; {suggest(name, known)}")
        elif name not in sections:
            problems.append(f"{name}: `tasks` lists it, but its section is missing")
    if problems:
        raise ParamsError(problems)
    assert head is not None
    return head, {name: parsed[name] for name in head.tasks}
