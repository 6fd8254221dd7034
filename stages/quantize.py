"""Turn an fp32 model folder into an int8 (CPU) or fp16 (GPU) one; what loses too much is rescued, or refused.

reads   models/<task>/<variant>/fp32/, data/<task>/validated/dataset/ (calibration: train, check: val)
writes  models/<task>/<variant>/<precision>/, with quantization.json: how it was made, what it lost, what was tried
run     python -m stages.quantize detection base int8
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from compression.graphs import quantization, rescue, sensitivity
from compression.graphs.calibration import CHUNK
from compression.graphs.layers import Layer
from compression.graphs.rescue import Attempt
from compression.graphs.sensitivity import Finding, Floats
from core import better, onnx_session, paths, stage, task
from core.brief import brief
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
        """As params say, and what was tried because that lost too much."""
        role, scoring = task.load(self.task, "quantize"), task.load(self.task, "score")
        before = self.look(self.source)

        def make(how: str, params: Any, kept: tuple[Finding, ...]) -> Attempt:
            folder = self._fresh()
            notes = self._make(folder, params, rescue.floats(kept))
            after = self.look(folder)
            figures = {f"{scoring.MAIN}_fp32": before, f"{scoring.MAIN}_{self.precision}": after}
            loss = better.loss(after, before, scoring.BETTER)
            return Attempt(how, params, kept, folder, notes | figures, before, after, loss, megabytes(folder))

        aim = self.params.quantize.rescue if self.precision == "int8" else None
        return rescue.attempts(make, self.params, aim, role.others(self.dataset, self.params), self.find)

    def find(self, start: Attempt) -> list[Finding]:
        """Layers of an attempt, those first that lose most."""
        role, params = task.load(self.task, "quantize"), self._few(start.params)
        folder, ranges = self._fresh(), self._fresh()

        def alone(floats: Floats) -> Path:
            role.quantize(self.source, folder, self.precision, self.dataset, params, self.seed, floats, ranges)
            return folder

        feeds = role.feeds(self.source, self.dataset, params, self.seed)
        return sensitivity.ranked(self.source, start.folder, alone, feeds)

    def why(self, layer: Layer) -> str:
        """What makes 8 bits few for a layer."""
        role, params = task.load(self.task, "quantize"), self._few(self.params)
        feeds = role.feeds(self.source, self.dataset, params, self.seed)[layer.graph]
        return sensitivity.why(self.source / layer.graph, layer, feeds)

    def _few(self, params: Any) -> Any:
        """Params with a chunk of calibration samples, which tell enough of single layers."""
        few = params.quantize.model_copy(update={"calibration": min(CHUNK, params.quantize.calibration)})
        return params.model_copy(update={"quantize": few})

    def _make(self, folder: Path, params: Any, floats: Floats) -> dict[str, Any]:
        role, predict = task.load(self.task, "quantize"), task.load(self.task, "predict")
        notes: dict[str, Any] = role.quantize(
            self.source, folder, self.precision, self.dataset, params, self.seed, floats
        )
        if hasattr(predict, "calibrate"):
            notes |= predict.calibrate(folder, self.dataset, params)
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
    return notes if len(tried) == 1 else notes | {"rescue": rescue.story(tried, chosen, settings.rescue, job.why)}


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
