"""What a task is: a folder `tasks/<task>/` with one module a role, each a plain module of functions.

Six roles a task writes itself: `params`, `prepare`, `checks`, `model`, `predict`, `score`. Of the
others it takes its modality's, `modalities/<MODALITY>/<role>`, unless it has its own; `show` and `explain` may be
missing in both. `MODALITY` stands in `params`.

A stage asks for the role it needs, `load(task, "score")`, and never asks which task it runs; so editing a task's metric
re-runs the stages that load `score`, and nothing else. Shapes and meanings of every function are below; there is no
base class to inherit and no registry to fill: a folder with these modules is a task.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from core.errors import ParamsError, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    import numpy as np
    import pandas as pd
    import pydantic
    import torch
    from torch.utils.data import DataLoader

    from core.better import Better

Required = Literal["params", "prepare", "checks", "model", "predict", "score"]
"""What a task writes itself."""
Inherited = Literal["augment", "data", "graphs", "quantize", "serve"]
"""What is its modality's unless it has its own."""
Optional = Literal["show", "explain"]
"""What may be missing in both."""
Role = Required | Inherited | Optional
ROOT = Path(__file__).resolve().parent.parent


def names() -> list[str]:
    """The tasks there are: folders of `tasks/` with a `params.py`."""
    return sorted(folder.parent.name for folder in (ROOT / "tasks").glob("*/params.py"))


def load(task: str, role: Role) -> Any:
    """The task's module of a role, or its modality's.

    Raises: ParamsError when there is no such task, or neither has the role.
    """
    return importlib.import_module(".".join(_found(task, role).with_suffix("").parts))


def has(task: str, role: Role) -> bool:
    """Whether the task or its modality has a role."""
    return _place(task, role) is not None


def place(task: str, role: Role) -> Path:
    """Where the module that `load` gives lies, relative to the repository: `tasks/<task>/<role>.py`, or a folder."""
    return _found(task, role)


def modality(task: str) -> str:
    """The folder of `modalities/` that a task builds on."""
    return str(load(task, "params").MODALITY)


def _found(task: str, role: Role) -> Path:
    found = _place(task, role)
    if found is None:
        raise ParamsError([f"the task {task!r} has no role {role!r}, and its modality {modality(task)!r} gives none"])
    return found


@cache
def _place(task: str, role: Role) -> Path | None:
    if task not in names():
        raise ParamsError([f"unknown task {task!r}; {suggest(task, names())}"])
    own = _within(Path("tasks", task), role)
    return own or (None if role in get_args(Required) else _within(Path("modalities", modality(task)), role))


def _within(folder: Path, role: Role) -> Path | None:
    """A folder that holds a role's helpers alone, and nothing in its `__init__.py`, is not the role."""
    file, start = folder / f"{role}.py", folder / role / "__init__.py"
    if (ROOT / file).is_file():
        return file
    return folder / role if (ROOT / start).is_file() and (ROOT / start).stat().st_size else None


@dataclass(frozen=True)
class Expectation:
    """One check of `validate`, as data: the stage turns it into a Great Expectations expectation."""

    type: str
    """Great Expectations' name, e.g. `expect_column_values_to_be_between`."""
    kwargs: dict[str, Any]
    reason: str
    """What quarantine says of a row that fails: what was expected, in words."""
    severity: Literal["row", "table"] = "row"
    """`row`: failing rows go to quarantine. `table`: a failure stops the stage."""


@dataclass(frozen=True)
class Loaders:
    """Batches for training, and what must travel with the model."""

    train: DataLoader[Any]
    val: DataLoader[Any]
    """A batch is a mapping whose `positions` are those of its samples in the split; in a seeded order, since training
    watches the first `train.validate_samples`."""
    assets: dict[str, bytes]
    """Files by name that a checkpoint must carry to be usable: a tokenizer, class names."""


@dataclass(frozen=True)
class Graph:
    """One ONNX graph to be exported."""

    name: str
    """File name without `.onnx`."""
    module: torch.nn.Module
    """In eval mode; `forward` takes the inputs in order."""
    inputs: dict[str, torch.Tensor]
    """Example inputs by name, batch 2."""
    outputs: list[str]
    dynamic: dict[str, dict[int, str]]
    """Input name -> axis -> name of the dynamic dimension."""
    translations: dict[Any, Any] | None = None
    """Custom operators -> onnxscript functions, for `torch.onnx.export(custom_translation_table=...)`."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of the Open Inference Protocol v2."""

    name: str
    datatype: str
    """As the protocol writes it: `FP32`, `INT64`, `UINT8`, `BYTES`, ..."""
    shape: tuple[int, ...]
    """-1: any size."""
    also: tuple[str, ...] = ()
    """Further datatypes that are taken."""
    example: Any = None
    """A small input, for the documentation of the interface: nested lists of the tensor's shape; None: there is none
    that fits every model."""


@dataclass(frozen=True)
class Limit:
    """A bound on what one request to a served model may hold; a modality declares its own in `limits.py`."""

    name: str
    """`pixels`: the server's flag is `--max-pixels`. One name means one thing in all modalities."""
    default: int
    most: int
    """The largest that the flag takes."""
    help: str
    """Of what, in words: `of an image, and of all images of a request together`."""


Limits = Mapping[str, int]
"""What one request to a served model may hold: `items`, and each of the role's `LIMITS`, by name."""


@dataclass(frozen=True)
class Job:
    """One request to a served model, ready to be computed."""

    items: list[Any]
    """What is batched with the items of other requests: pixels of an image, a sentence."""
    options: Hashable
    """Requests with equal options share a batch."""
    state: Any
    """What the role needs to make the answer from the items' results."""


class Prepare(Protocol):
    """Role `prepare`: raw data in, canonical dataset out."""

    def sample(self, folder: Path, params: Any, seed: int) -> None:
        """Write the embedded sample into `folder` in a raw format that `prepare` reads."""

    def prepare(self, source: Path, folder: Path, params: Any, seed: int) -> dict[str, Any]:
        """Read raw data at `source`, write the canonical dataset (see the module's docstring) into `folder`.

        Rows that cannot be represented go to `folder/rejected.jsonl` as `{"file", "row", "field", "reason"}`.
        Returns: counts and notes for the log. Raises: SourceError.
        """


class Checks(Protocol):
    """Role `checks`: what `validate` demands."""

    def tables(self, dataset: Path, params: Any) -> dict[str, pd.DataFrame]:
        """Tables by name; every row has unique `id`, and `file`, `row`, `split` that say where it came from."""

    def expectations(self, params: Any, tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Expectation]]:
        """The suite of each table."""

    def clean(self, dataset: Path, bad: Mapping[str, set[Any]], folder: Path, params: Any) -> dict[str, Any]:
        """Write the dataset without the bad ids of each table into `folder`; return counts a split."""

    def refuse(self, dataset: Path, params: Any) -> list[str]:
        """Faults of the clean dataset that no quarantine mends: empty split, leak, class absent from train."""


class Augment(Protocol):
    """Role `augment`."""

    def augment(self, dataset: Path, folder: Path, params: Any, seed: int) -> dict[str, Any]:
        """Write the augmented train split to `folder/dataset` and `folder/contact_sheet.png`; return counts."""


class Data(Protocol):
    """Role `data`: canonical dataset -> batches."""

    def loaders(self, clean: Path, augmented: Path, params: Any, seed: int, assets: dict[str, bytes] | None) -> Loaders:
        """`assets` of an existing checkpoint are used as they are; None makes them from the train split."""

    def relabelled(self, loaders: Loaders, teacher: torch.nn.Module, settings: Any, params: Any, seed: int) -> Loaders:
        """Optional: loaders for a student whose targets are the teacher's outputs, where `settings` of the student ask
        for them; `loaders` as they are where they do not."""


class Model(Protocol):
    """Role `model`: architecture and what it learns from."""

    PROXY: str
    """Optional: a scalar of `loss` that is watched on `val` in place of the task's metric, if that takes too long."""

    def architecture(self, params: Any, assets: dict[str, bytes]) -> dict[str, Any]:
        """A description as JSON values from which `build` makes the same shapes."""

    def student(self, teacher: dict[str, Any], settings: Any) -> dict[str, Any]:
        """Architecture of a smaller student."""

    def build(self, arch: dict[str, Any], initial: bool = False) -> torch.nn.Module:
        """A module in train mode; `initial`: with packaged weights, where `params.model.weights` asked for them."""

    def packaged(self) -> tuple[Path, str]:
        """File and licence of these weights; only of tasks whose params take `weights: packaged`."""

    def parameter_groups(self, model: torch.nn.Module, train: Any) -> list[dict[str, Any]]:
        """Groups for the optimiser with their `lr` and `weight_decay`; the rest is in `train.optimizer`."""

    def loss(self, model: torch.nn.Module, batch: Any, params: Any) -> dict[str, torch.Tensor]:
        """Scalars; `loss` is minimised, the others are logged."""

    def soft_targets(
        self, student: torch.nn.Module, teacher: torch.nn.Module, batch: Any, settings: Any, params: Any
    ) -> dict[str, torch.Tensor]:
        """Like `loss`, for distillation: hard and soft targets (and hints) together."""

    def regress(self, student: torch.nn.Module, teacher: torch.nn.Module) -> None:
        """Optional: give the student what its hints need in training (`compression.networks.distillation.attach`)."""

    def predictions(self, model: torch.nn.Module, batch: Any, assets: dict[str, bytes]) -> list[Any]:
        """Of a validation batch, in eval mode: what `Predictor` would return, for the `batch["positions"]` in `val`."""

    def prune(self, model: torch.nn.Module, arch: dict[str, Any], settings: Any) -> dict[str, Any]:
        """Prune `model` in place with torch-pruning; return the architecture of what is left."""


class Graphs(Protocol):
    """Role `graphs`: checkpoint -> ONNX."""

    def graphs(self, model: torch.nn.Module, arch: dict[str, Any], params: Any) -> list[Graph]: ...

    def describe(self, folder: Path, arch: dict[str, Any], assets: dict[str, bytes], params: Any) -> None:
        """Write `model.json` and what `Predictor` needs beside the graphs."""

    def parity(self, model: torch.nn.Module, folder: Path, dataset: Path, params: Any) -> dict[str, float]:
        """Largest absolute difference by output, torch against ONNX Runtime, on real samples."""


class Quantize(Protocol):
    """Role `quantize`: fp32 model folder -> int8 or fp16 model folder."""

    def quantize(
        self,
        source: Path,
        folder: Path,
        precision: str,
        dataset: Path,
        params: Any,
        seed: int,
        floats: Mapping[str, tuple[str, ...]] | None = None,
        ranges: Path | None = None,
    ) -> dict[str, Any]:
        """Write a model folder of the same form; return notes for the log. Calibration reads the train split only.

        floats: file of a graph -> names of its nodes that int8 leaves in float; ranges: a folder in which the ranges of
        activations may be kept for a call that differs in `floats` alone. The stage then looks on `val` what the task's
        metric has lost; where that is more than `quantize.rescue`, it tries what the next two tell it.
        """

    def feeds(self, source: Path, dataset: Path, params: Any, seed: int) -> dict[str, list[dict[str, np.ndarray]]]:
        """What each graph of a model folder, by its file, is given of a few train samples."""

    def others(self, dataset: Path, params: Any) -> dict[str, Any]:
        """Other ways to make int8, in words -> params."""


class Predict(Protocol):
    """Role `predict`: numpy and ONNX Runtime only; evaluate, serving and golden samples all use this class."""

    Predictor: type[Predictor]
    MODES: dict[str, dict[str, Any]]
    """Optional: further ways to predict that `evaluate` scores, name -> options of `Predictor`."""
    QUICK: dict[str, Any]
    """Optional: options of `Predictor` for a quick look at whether a model still works."""
    EXAMPLE: Any
    """An input, for the model card."""

    def inputs(self, dataset: Path, split: str, limit: int | None = None) -> list[Any]:
        """What the predictor takes, of a canonical dataset, in its order."""

    def calibrate(self, folder: Path, dataset: Path, params: Any) -> dict[str, float]:
        """Optional: fit to `val` what makes probabilities of the outputs of the model in `folder`, and write it there;
        each precision needs its own. Returns: figures for the log."""


class Predictor(Protocol):
    def __init__(
        self, folder: Path, threads: int = 0, provider: str = "CPUExecutionProvider", **options: Any
    ) -> None: ...

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """Predictions as JSON values, one for each input, computed as one batch."""


class Score(Protocol):
    """Role `score`: predictions against references."""

    MAIN: str
    """The metric by which epochs, precisions and variants are compared."""
    BETTER: Better
    """`higher`, or `lower` for an error."""
    TITLE: str
    """Its name as the field writes it."""

    def references(self, dataset: Path, split: str) -> list[Any]: ...

    def score(self, predictions: Sequence[Any], references: Sequence[Any], params: Any) -> dict[str, Any]:
        """`{"metrics": {name: float}, "signature": str, "tables": {...}}`; defined for empty predictions.

        A table `parts` tells of which parts of a split how much is right: rows with `kind` (`class`), `name`, `count`
        and `value`, of MAIN.
        """

    def weighted(
        self, predictions: Sequence[Any], references: Sequence[Any], params: Any
    ) -> Callable[[np.ndarray], dict[str, float]]:
        """(S,) how often each sample counts -> metrics, MAIN among them: what training watches, a collapse is told by
        and the bootstrap resamples. With all weights 1 they are those of `score`. What is returned may have a method
        `many`, which takes weights of several resamples, (B, S), and gives a list of B values of each metric."""

    def judge(
        self, predictions: Sequence[Any], references: Sequence[Any], params: Any
    ) -> tuple[dict[str, Any], Callable[[np.ndarray], dict[str, float]]]:
        """Optional: what `score` and `weighted` give, where they have work in common."""

    def blocks(self, references: Sequence[Any]) -> np.ndarray:
        """Optional: (S,) whole numbers, the same for samples that depend on each other (overlapping windows of time,
        recordings of one speaker): the bootstrap draws them together. Without it each sample is drawn by itself."""


class Show(Protocol):
    """Role `show`: examples for people."""

    def show(self, inputs: Iterable[Any], predictions: Iterable[Any], references: Iterable[Any], folder: Path) -> None:
        """Write examples into `folder`: PNG pictures, or `examples.html` as a fragment."""

    def plots(self, scores: dict[str, Any], folder: Path) -> None:
        """Plots of a score's tables as PNG."""

    def compared(
        self, inputs: Sequence[Any], references: Sequence[Any], predictions: Mapping[str, Sequence[Any]], folder: Path
    ) -> None:
        """Optional: write `examples.html`, what each model (its name -> its predictions) makes of the same inputs; in
        place of `show`, whose pictures stand side by side."""


class Explain(Protocol):
    """Role `explain`: what led the very model that ships to its predictions; through its `Predictor` alone."""

    def explain(
        self, predictor: Any, inputs: Sequence[Any], references: Sequence[Any], folder: Path, params: Any, seed: int
    ) -> None:
        """Write into `folder`, for each input: PNG pictures, or `explanations.html` as a fragment."""


class Serve(Protocol):
    """Role `serve`: how a packaged model meets HTTP (`serving/`); numpy, pydantic and what `predict` imports.

    All functions may be called from several threads at once. What a client did wrong is a DataError that says which
    field, what was found and what was expected; nothing else may be raised for any input.
    """

    VERB: str
    """`detect`: the endpoint is `POST /v1/detect`."""
    PIPELINE_TAG: str
    """Optional: what the Hugging Face Hub calls the kind of task, for the model card: `object-detection`."""
    RAW: dict[str, str]
    """Media type of a body that is no JSON, or its beginning (`image/`) -> the field of `Request` that it fills."""
    Request: type[pydantic.BaseModel]
    """Body of the endpoint. A field of type `bytes` is base64 in JSON and raw in a form or a raw body."""
    Response: type[pydantic.BaseModel]
    """The answer, without `model` and `version`."""
    LIMITS: tuple[Limit, ...]
    """What `plain` and `tensors` look up in `limits`, beside `items`: those of the modality, as a rule."""
    INPUTS: tuple[Tensor, ...]
    """Of protocol v2; a request has one or several of them, `tensors` decides which go together."""
    OUTPUTS: tuple[Tensor, ...]
    OPTIONS: dict[str, str]
    """Names and meanings of protocol v2's request `parameters` that `tensors` reads."""
    MAX_BATCH: int
    """Items computed together at most, where the server is not told otherwise."""

    def about(self, predictor: Any) -> dict[str, Any]:
        """What a client may want to know of a model: classes, languages, ... as JSON values."""

    def plain(self, request: Any, predictor: Any, limits: Limits) -> Job:
        """From the endpoint's `Request`."""

    def answer(self, job: Job, results: Sequence[Any]) -> dict[str, Any]:
        """Values of the endpoint's `Response`."""

    def tensors(
        self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any], predictor: Any, limits: Limits
    ) -> Job:
        """From protocol v2: arrays by name, each of a datatype and number of dimensions that `INPUTS` has, finite;
        BYTES is an array of `bytes` objects."""

    def outputs(self, job: Job, results: Sequence[Any]) -> dict[str, np.ndarray]:
        """All `OUTPUTS` by name."""

    def run(self, predictor: Any, items: Sequence[Any], options: Any) -> list[Any]:
        """A result for each item, computed as one batch."""

    def differs(self, expected: Any, found: Any) -> str | None:
        """How a golden sample's prediction differs from what was packaged, beyond what another CPU explains; None when
        it does not."""

    def item(self, value: Any) -> Any:
        """The item of an input of the predictor (`predict.inputs`), for the statistics of training data."""

    def features(self, item: Any) -> dict[str, float]:
        """Figures of an item whose distribution is watched for drift; the same names for every item."""

    def size(self, item: Any) -> int:
        """Optional: bytes that an item holds while it waits; without it, an item counts for nothing."""

    def cost(self, item: Any, options: Any) -> float:
        """Optional: how long an item takes to compute, in any unit; without it, each takes as long as another."""

    def divided(self, job: Job) -> list[Job]:
        """Optional: the parts of a request that `answer` can tell by themselves, for answers that come while others are
        computed. Their items, one after another, are the job's. Without it, a request is one part."""
