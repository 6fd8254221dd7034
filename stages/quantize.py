"""Turn an fp32 model folder into an int8 (CPU) or fp16 (GPU) one; what loses too much is rescued, or refused.

reads   models/<task>/<variant>/fp32/, data/<task>/validated/dataset/ (calibration: train, check: val)
writes  models/<task>/<variant>/<precision>/, with quantization.json: how it was made, what it lost, what was tried
run     python -m stages.quantize detection base int8
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from compression.graphs import equalisation, quantization, rescue, sensitivity
from compression.graphs.calibration import CHUNK, Feed
from compression.graphs.layers import Layer
from compression.graphs.rescue import Attempt
from compression.graphs.sensitivity import Finding, Floats
from core import better, onnx_session, paths, stage, task
from core.brief import brief
from core.errors import ModelError
from core.files import write_json

CHECKED, BATCH = 500, 8
"""Validation samples of the check at most, and how many are predicted together."""


def quantize(ctx: stage.Context) -> None:
    assert ctx.variant is not None and ctx.precision is not None
    source = paths.model(ctx.task, ctx.variant, "fp32")
    with tempfile.TemporaryDirectory() as aside:
        job = Job(
            ctx.task, ctx.precision, source, paths.clean(ctx.task), ctx.params, ctx.seed, Path(aside), ctx.threads
        )
        notes = rescued(job, ctx.out)
    write_json(ctx.out / "quantization.json", notes)
    onnx_session.seal(ctx.out)
    told = {key: value for key, value in notes.items() if key != "rescue"}
    told |= {"fp32_mb": megabytes(source), f"{ctx.precision}_mb": megabytes(ctx.out)}
    ctx.run.metrics({key: value for key, value in told.items() if isinstance(value, int | float)})
    print(f"{ctx.name}: {brief(told)}")
    if "rescue" in notes:
        print(f"  note: {rescue.words(notes['rescue'])}")


@dataclass(frozen=True)
class Way:
    """What an int8 model is made of."""

    source: Path
    """A model folder in fp32."""
    params: Any


@dataclass(frozen=True)
class Job:
    """What is quantized, and by what it is judged."""

    task: str
    precision: str
    source: Path
    dataset: Path
    params: Any
    seed: int
    aside: Path
    """Where attempts are made, each in a folder of its own."""
    threads: int = 0

    def look(self, folder: Path) -> float:
        """The task's metric of a model folder on a seeded choice of `val`."""
        return quality(self.task, folder, self.dataset, self.params, self.seed, self.threads)

    def attempts(self) -> list[Attempt]:
        """As params say, and what was tried because that lost too much; an attempt is made by a `Way`."""
        scoring = task.load(self.task, "score")
        before = self.look(self.source)

        def make(how: str, way: Way, kept: tuple[Finding, ...]) -> Attempt:
            folder = self._fresh()
            notes = self._make(folder, way, rescue.floats(kept))
            after = self.look(folder)
            figures = {f"{scoring.MAIN}_fp32": before, f"{scoring.MAIN}_{self.precision}": after}
            loss = better.loss(after, before, scoring.BETTER)
            return Attempt(how, way, kept, folder, notes | figures, before, after, loss, megabytes(folder))

        aim = self.params.quantize.rescue if self.precision == "int8" else None
        return rescue.attempts(make, Way(self.source, self.params), aim, self._others(), self.find)

    def find(self, start: Attempt) -> list[Finding]:
        """Layers of an attempt, those first that lose most."""
        role, source, params = task.load(self.task, "quantize"), start.params.source, self._few(start.params.params)
        folder, ranges = self._fresh(), self._fresh()

        def alone(floats: Floats) -> Path:
            role.quantize(source, folder, self.precision, self.dataset, params, self.seed, floats, ranges)
            return folder

        return sensitivity.ranked(source, start.folder, alone, self._feeds(source, start.params.params))

    def why(self, source: Path, layer: Layer) -> str:
        """What makes 8 bits few for a layer of the fp32 model folder `source`."""
        return sensitivity.why(source / layer.graph, layer, self._feeds(source, self.params)[layer.graph])

    def _others(self) -> Iterator[tuple[str, Way]]:
        """Other ways than that of params, in words; each is made when it is asked for."""
        with suppress(ModelError):
            equalised, places = self._equalised()
            if places:
                told = f"channels equalised in {places} {'place' if places == 1 else 'places'}"
                yield told, Way(equalised, self.params)
        for told, params in task.load(self.task, "quantize").others(self.dataset, self.params).items():
            yield told, Way(self.source, params)

    def _equalised(self) -> tuple[Path, int]:
        """A model folder that says what the source says, with channels that reach alike far in so many places."""
        folder = self._fresh()
        shutil.copytree(self.source, folder, dirs_exist_ok=True)
        fed = self._feeds(self.source, self.params)
        found = [equalisation.equalise(self.source / name, folder / name, feeds) for name, feeds in fed.items()]
        onnx_session.seal(folder)
        return folder, sum(map(len, found))

    def _feeds(self, source: Path, params: Any) -> dict[str, list[Feed]]:
        role = task.load(self.task, "quantize")
        feeds: dict[str, list[Feed]] = role.feeds(source, self.dataset, self._few(params), self.seed)
        return feeds

    def _few(self, params: Any) -> Any:
        """Params with a chunk of calibration samples, which tell enough of single layers."""
        few = params.quantize.model_copy(update={"calibration": min(CHUNK, params.quantize.calibration)})
        return params.model_copy(update={"quantize": few})

    def _make(self, folder: Path, way: Way, floats: Floats) -> dict[str, Any]:
        role, predict = task.load(self.task, "quantize"), task.load(self.task, "predict")
        notes: dict[str, Any] = role.quantize(
            way.source, folder, self.precision, self.dataset, way.params, self.seed, floats
        )
        if hasattr(predict, "calibrate"):
            notes |= predict.calibrate(folder, self.dataset, way.params)
        return notes

    def _fresh(self) -> Path:
        folder = next(path for number in count() if not (path := self.aside / str(number)).exists())
        folder.mkdir()
        return folder


def rescued(job: Job, out: Path) -> dict[str, Any]:
    """Make the model folder `out`, in other ways where the first loses too much; returns notes.

    Raises: ModelError for a collapse that nothing helped against.
    """
    scoring, settings = task.load(job.task, "score"), job.params.quantize
    tried = job.attempts()
    chosen = rescue.best(tried, settings.rescue)
    loss = quantization.collapse(
        chosen.before,
        chosen.after,
        settings.max_loss,
        scoring.BETTER,
        f"{job.source} in {job.precision}: {scoring.TITLE} on the validation split",
        rescue.advice(job.task, job.precision, tried),
    )
    shutil.copytree(chosen.folder, out, dirs_exist_ok=True)
    notes = chosen.notes | {"loss": loss}
    if len(tried) == 1:
        return notes
    why = partial(job.why, chosen.params.source)
    return notes | {"rescue": rescue.story(tried, chosen, settings.rescue, why)}


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.glob("*.onnx")) / 1e6


def quality(name: str, folder: Path, dataset: Path, params: Any, seed: int, threads: int = 0) -> float:
    """The task's metric on a seeded choice of `val`, of a model folder."""
    predict, scoring = task.load(name, "predict"), task.load(name, "score")
    inputs, references = predict.inputs(dataset, "val"), scoring.references(dataset, "val")
    chosen = sorted(np.random.default_rng(seed).permutation(len(inputs))[:CHECKED].tolist())
    predictor = predict.Predictor(folder, threads=threads, **getattr(predict, "QUICK", {}))
    predictions = [
        prediction
        for first in range(0, len(chosen), BATCH)
        for prediction in predictor([inputs[i] for i in chosen[first : first + BATCH]])
    ]
    weighted = scoring.weighted(predictions, [references[i] for i in chosen], params)
    return float(weighted(np.ones(len(chosen)))[scoring.MAIN])


if __name__ == "__main__":
    stage.main("quantize", quantize, paths.model)
