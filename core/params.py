"""`params.yaml` as typed, checked values; every problem is reported at once, with its place and the valid choices.

Each task describes its own section in `tasks/<task>/params.py` as a class `Params(TaskParams)`. The sections here are
what all tasks share. No field has a default: `params.yaml` shows every knob that there is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator, model_validator

from core import task as tasks_module
from core.address import has_user, public
from core.errors import ParamsError, suggest

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""A name that becomes part of a DVC stage, a command line and a path: nothing else may stand in a `cmd`. No `-`, which
joins names in a stage's key."""
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """One mapping in `params.yaml`: unknown keys, text for numbers and the like are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SourceParams(Section):
    """Where the raw data comes from."""

    source: str = Field(min_length=1)
    """`sample`, a local path, an http(s) URL of an archive (with `sha256`), or a git URL (with `commit`)."""
    sha256: str | None
    commit: str | None
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
    def address(self) -> str:
        """The source as it may be written: without the secrets that a URL may hold."""
        return public(self.source)

    @field_serializer("source")
    def _written(self, source: str) -> str:
        """What is dumped ends in MLflow and in packages."""
        return public(source)

    @model_validator(mode="after")
    def _pinned(self) -> SourceParams:
        if has_user(self.source):
            # Not quoted: the message may end in a log. This file is committed, and its values are logged to MLflow.
            raise ValueError("the URL holds a user or password; put them into ~/.netrc (git: a credential helper)")
        if self.kind == "archive" and not re.fullmatch(r"[0-9a-f]{64}", self.sha256 or ""):
            raise ValueError("an archive URL needs `sha256`, 64 lower-case hex digits (sha256sum FILE prints it)")
        if self.kind == "git" and not re.fullmatch(r"[0-9a-f]{40}", self.commit or ""):
            raise ValueError("a git source needs `commit`, the full 40 hex digits (git rev-parse HEAD prints it)")
        return self


class SplitParams(Section):
    """Shares of the data for splits that the source does not give."""

    val: float = Field(gt=0, lt=0.5)
    test: float = Field(gt=0, lt=0.5)


class ValidateParams(Section):
    """Sections of tasks add their own limits."""

    max_bad: Probability
    """Largest share of rows in quarantine with which the pipeline goes on."""


class TrainParams(Section):
    """How to optimise; train, prune (fine-tuning) and distill share it."""

    epochs: Positive
    batch_size: Positive
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup_steps: int = Field(ge=0)
    clip_norm: float = Field(gt=0)
    ema_decay: float = Field(ge=0, lt=1)
    """Decay of the exponential moving average of the weights, 0: off."""
    patience: Positive
    """Validations without a better task metric before training stops."""
    validate_every: Positive
    """Epochs between validations."""
    validate_samples: Positive
    """Samples of the validation split that are watched at most, a seeded choice."""
    precision: Literal["auto", "32", "bf16", "fp16"]
    """`auto`: mixed precision where the hardware has units for it (GPUs, CPUs with AMX), else 32."""
    devices: Positive
    """GPUs, or processes on a CPU, of this machine; each step takes a batch of `batch_size` on every one."""
    strategy: Literal["auto", "ddp", "fsdp"]
    workers: int = Field(ge=0)


class ExportParams(Section):
    opset: int = Field(ge=18, le=20)
    tolerance: float = Field(gt=0)
    """Largest absolute difference between torch and ONNX Runtime on real samples, in units of the outputs."""
    samples: Positive
    """Real samples compared."""


class EvaluateParams(Section):
    bootstrap: Positive
    """Resamples of the test split for the 95 % intervals."""
    latency_runs: Positive
    """Timed calls per batch size."""
    warmup_runs: Positive
    samples: Positive
    """Example predictions shown in the report."""


class BudgetParams(Section):
    max_mb: float = Field(gt=0)
    """Megabytes (10^6 bytes) of the model folder's ONNX files."""
    max_ms: float = Field(gt=0)
    """Median latency at batch 1, milliseconds."""
    max_loss: float = Field(ge=0)
    """Largest loss of quality against the best candidate, in units of the task's main metric."""
    worst_quality: float
    """Value of the task's main metric below which (above which, where lower is better) nothing ships."""


class CompareParams(Section):
    budget: BudgetParams


class TaskParams(Section):
    """What every task has; each task's `Params` narrows these sections and adds its own.

    A section `augment`, `prune`, `distill` or `quantize` gives the task the stage of that name; `prune` and `distill`
    map names of variants to their settings.
    """

    precisions: list[Literal["fp32", "int8", "fp16"]] = Field(min_length=1)
    """Evaluated and compared; what is not fp32 is made by the stage `quantize`."""
    data: SourceParams
    validation: ValidateParams = Field(alias="validate")  # `validate` is taken by pydantic
    train: TrainParams
    export: ExportParams
    evaluate: EvaluateParams
    compare: CompareParams

    @field_validator("precisions")
    @classmethod
    def _once(cls, value: list[str]) -> list[str]:
        return _unique(value)

    @model_validator(mode="after")
    def _consistent(self) -> TaskParams:
        made = [*(getattr(self, "prune", None) or {}), *(getattr(self, "distill", None) or {})]
        if "base" in made or len(set(made)) < len(made):
            raise ValueError("a variant is named once only, in `prune` or in `distill`, and not `base`")
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


def typed(model: type[Any], value: Any, prefix: str, problems: list[str]) -> Any:
    """`value` as `model`; None when it cannot be, with what was wrong added to `problems`. prefix: place of `value`."""
    if not isinstance(value, dict):
        problems.append(f"{prefix}: expected a mapping, found {value!r}")
        return None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for item in error.errors():
            place = ".".join(str(part) for part in (prefix, *item["loc"]) if part != "")
            problems.append(f"{place}: {_explain(model, item)}" if place else _explain(model, item))
        return None


def _explain(model: type[BaseModel], item: Any) -> str:
    kind, given = item["type"], item["input"]
    if kind == "extra_forbidden":
        return f"unknown key; {suggest(str(item['loc'][-1]), _fields(model, item['loc'][:-1]))}"
    if kind == "missing":
        return "missing"
    if kind == "literal_error":
        return f"found {given!r}, expected {item['ctx']['expected']}"
    message = re.sub(r"^(Input|Value error,)\s*", "", item["msg"])
    return message if kind == "value_error" else f"found {given!r}, {message}"


def _fields(model: Any, loc: tuple[Any, ...]) -> list[str]:
    """Names (as written in YAML) of the fields of the section at `loc`."""
    for part in loc:
        field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        if field is None:
            continue  # a key of a dict: its value type was reached through the field before it
        model = next((a for a in _flatten(field.annotation) if hasattr(a, "model_fields")), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _flatten(annotation: Any) -> list[Any]:
    args = getattr(annotation, "__args__", None)
    return [leaf for arg in args for leaf in _flatten(arg)] if args else [annotation]
