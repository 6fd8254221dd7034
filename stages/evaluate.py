"""Score and time one model folder on the test split, through ONNX Runtime only: what is measured is what ships.

reads   models/<task>/<variant>/<precision>/, data/<task>/validated/dataset/
writes  evaluations/<task>/<variant>-<precision>/: metrics.json (the same for the same seed), latency.json,
        predictions.jsonl, samples/, plots/
run     python -m stages.evaluate detection base int8
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core import paths, stage, task
from core.files import write_json, write_jsonl
from evaluation import latency, memory

BATCH = 8
MEMORY_INPUTS = 8


def evaluate(ctx: stage.Context) -> None:
    assert ctx.variant is not None and ctx.precision is not None
    role = task.load(ctx.task, "predict")
    scoring, dataset = task.load(ctx.task, "score"), paths.clean(ctx.task)
    folder = paths.model(ctx.task, ctx.variant, ctx.precision)
    ctx.run.dataset("test", dataset)
    settings = ctx.params.evaluate
    inputs, references = role.inputs(dataset, "test"), scoring.references(dataset, "test")

    scores: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    # "" is how the model ships; a task may name more ways to predict, e.g. translation without beams.
    for mode, options in {"": {}, **getattr(role, "MODES", {})}.items():
        predictor = role.Predictor(folder, threads=ctx.threads, **options)
        predictions = predict(predictor, inputs)
        scored = scoring.score(predictions, references, ctx.params)
        bounds = scoring.intervals(predictions, references, ctx.params, settings.bootstrap, ctx.seed)
        prefix = f"{mode}_" if mode else ""
        intervals |= {prefix + name: list(bound) for name, bound in bounds.items()}
        if mode:
            scores["metrics"] |= {prefix + name: value for name, value in scored["metrics"].items()}
        else:
            scores = scored
            shipped, write = predictor, predictions
    files = {path.name: path.stat().st_size for path in sorted(folder.glob("*.onnx"))}
    size = sum(files.values()) / 1e6
    write_json(
        ctx.out / "metrics.json",
        {
            **scores,
            "intervals": intervals,
            "main": scoring.MAIN,
            "size_mb": size,
            "files": files,
            "inputs": len(inputs),
        },
    )
    write_jsonl(ctx.out / "predictions.jsonl", write)

    timing = latency.measure(shipped, inputs, settings.latency_runs, settings.warmup_runs)
    timing["memory_mb"] = memory.peak_mb(ctx.task, folder, dataset, MEMORY_INPUTS)
    timing["threads"] = ctx.threads
    write_json(ctx.out / "latency.json", timing)

    show(ctx, scores, inputs, write, references)
    flat = {f"{batch}_{k}": v for batch in ("batch_1", "batch_8") for k, v in timing[batch].items()}
    ctx.run.metrics({**scores["metrics"], **flat, "size_mb": size, "memory_mb": timing["memory_mb"]})
    ctx.run.tag("signature", scores["signature"])
    low, high = intervals[scoring.MAIN]
    print(
        f"{ctx.name}: {scoring.MAIN} {scores['metrics'][scoring.MAIN]:.4g} [{low:.4g}, {high:.4g}], "
        f"{timing['batch_1']['median_ms']:.1f} ms, {size:.2f} MB"
    )


def predict(predictor: Any, inputs: Sequence[Any]) -> list[Any]:
    """Predictions of all inputs, in batches."""
    return [result for first in range(0, len(inputs), BATCH) for result in predictor(inputs[first : first + BATCH])]


def show(
    ctx: stage.Context,
    scores: dict[str, Any],
    inputs: Sequence[Any],
    predictions: Sequence[Any],
    references: Sequence[Any],
) -> None:
    """Examples spread evenly over the test split, and plots; both also to MLflow."""
    role = task.load(ctx.task, "show")
    count = min(ctx.params.evaluate.samples, len(inputs))
    chosen = [i * len(inputs) // count for i in range(count)]
    for name in ("samples", "plots"):
        (ctx.out / name).mkdir()
    picked = ([values[i] for i in chosen] for values in (inputs, predictions, references))
    role.show(*picked, ctx.out / "samples")
    role.plots(scores, ctx.out / "plots")
    ctx.run.artifact(ctx.out / "samples", "samples")
    ctx.run.artifact(ctx.out / "plots", "plots")


if __name__ == "__main__":
    stage.main("evaluate", evaluate, paths.evaluation)
