"""Turn an fp32 model folder into an int8 (CPU) or fp16 (GPU) one; a collapse of quality is refused, never hidden.

reads   models/<task>/<variant>/fp32/, data/<task>/validated/dataset/ (calibration: train, check: val)
writes  models/<task>/<variant>/<precision>/
run     python -m stages.quantize detection base int8
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from compression import quantization
from core import onnx_session, paths, stage, task
from core.brief import brief
from core.files import write_json

CHECKED, BATCH = 500, 8
"""Validation samples of the check at most, and how many are predicted together."""


def quantize(ctx: stage.Context) -> None:
    role = task.load(ctx.task, "quantize")
    assert ctx.variant is not None and ctx.precision is not None
    source = paths.model(ctx.task, ctx.variant, "fp32")
    notes = role.quantize(source, ctx.out, ctx.precision, paths.clean(ctx.task), ctx.params, ctx.seed)
    clean, predict = paths.clean(ctx.task), task.load(ctx.task, "predict")
    if hasattr(predict, "calibrate"):
        notes |= predict.calibrate(ctx.out, clean, ctx.params)
    notes |= checked(
        ctx.task,
        ctx.precision,
        source,
        ctx.out,
        ctx.params,
        lambda folder: quality(ctx.task, folder, clean, ctx.params, ctx.seed, ctx.threads),
    )
    write_json(ctx.out / "quantization.json", notes)
    onnx_session.seal(ctx.out)
    sizes = {
        name: sum(p.stat().st_size for p in folder.glob("*.onnx")) / 1e6
        for name, folder in (("fp32_mb", source), (f"{ctx.precision}_mb", ctx.out))
    }
    ctx.run.metrics(sizes | {k: v for k, v in notes.items() if isinstance(v, int | float) and not isinstance(v, bool)})
    print(f"{ctx.name}: {brief(notes | sizes)}")


def checked(name: str, precision: str, source: Path, folder: Path, params: Any, look: Callable[[Path], float]) -> Any:
    """The task's metric on `val` before and after, as `look` finds it of a model folder, and what was lost.

    Raises: ModelError for a collapse.
    """
    scoring = task.load(name, "score")
    before, after = look(source), look(folder)
    loss = quantization.collapse(
        before,
        after,
        params.quantize.max_loss,
        scoring.BETTER,
        f"{source} in {precision}: {scoring.TITLE} on the validation split",
        f"calibrate with more samples or another way ({name}.quantize), or take {precision} out of {name}.precisions",
    )
    return {f"{scoring.MAIN}_fp32": before, f"{scoring.MAIN}_{precision}": after, "loss": loss}


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
