"""Score one model folder through ONNX Runtime only: what is measured is what ships.

The figures of `val` are for choosing among candidates; those of `test` are reported and choose nothing.

reads   models/<task>/<variant>/<precision>/, data/<task>/validated/dataset/
writes  evaluations/<task>/<variant>-<precision>/: metrics.json, resamples.json (the metric on resamples of val, which
        `compare` takes in pairs), predictions.jsonl and each.json (of test: what the model said, and the metric on
        single inputs), samples/, plots/
run     python -m stages.evaluate detection base int8
"""

from __future__ import annotations

from core import gpu, paths, stage, task
from core.files import write_json, write_jsonl
from core.spread import spread
from evaluation import bootstrap, lost, quality
from evaluation.quality import Scored


def evaluate(ctx: stage.Context) -> None:
    assert ctx.variant is not None and ctx.precision is not None
    role = task.load(ctx.task, "predict")
    scoring, dataset = task.load(ctx.task, "score"), paths.clean(ctx.task)
    folder = paths.model(ctx.task, ctx.variant, ctx.precision)
    ctx.run.dataset("test", dataset)

    provider = gpu.provider(ctx.precision)
    shipped = role.Predictor(folder, threads=ctx.threads, provider=provider)
    others = {
        mode: role.Predictor(folder, threads=ctx.threads, provider=provider, **options)
        for mode, options in getattr(role, "MODES", {}).items()
    }
    val = quality.score(role, scoring, {"": shipped}, dataset, "val", ctx.params, ctx.seed)
    test = quality.score(role, scoring, {"": shipped} | others, dataset, "test", ctx.params, ctx.seed)
    files = {path.name: path.stat().st_size for path in sorted(folder.glob("*.onnx"))}
    size = sum(files.values()) / 1e6
    chosen_on = {key: val.scores[key] for key in ("metrics", "intervals", "inputs")}
    write_json(
        ctx.out / "metrics.json",
        {
            **test.scores,
            "val": chosen_on,
            "main": scoring.MAIN,
            "title": scoring.TITLE,
            "better": scoring.BETTER,
            "size_mb": size,
            "files": files,
        },
    )
    blocks = bootstrap.blocks(scoring, val.references)
    without = bootstrap.left_out(val.weighted, len(val.inputs), ctx.seed, blocks)
    pairs = {"bootstrap": val.drawn[scoring.MAIN], "jackknife": without[scoring.MAIN]}
    write_json(ctx.out / "resamples.json", pairs)
    write_jsonl(ctx.out / "predictions.jsonl", test.predictions)
    write_json(ctx.out / "each.json", lost.each(test.weighted, len(test.inputs), scoring.MAIN, ctx.seed))

    if task.has(ctx.task, "show"):
        show(ctx, test)
    before = {f"val_{name}": value for name, value in val.scores["metrics"].items()}
    ctx.run.metrics({**test.scores["metrics"], **before, "size_mb": size})
    ctx.run.tag("signature", test.scores["signature"])
    low, high = test.scores["intervals"][scoring.MAIN]
    print(
        f"{ctx.name}: {scoring.TITLE} {test.scores['metrics'][scoring.MAIN]:.4g} [{low:.4g}, {high:.4g}], "
        f"on val {val.scores['metrics'][scoring.MAIN]:.4g}, {size:.2f} MB"
    )


def show(ctx: stage.Context, test: Scored) -> None:
    """Examples spread evenly over the test split, and plots, of a task that shows some; both also to MLflow."""
    if not task.has(ctx.task, "show"):
        return
    role = task.load(ctx.task, "show")
    chosen = spread(len(test.inputs), ctx.params.evaluate.samples)
    for name in ("samples", "plots"):
        (ctx.out / name).mkdir()
    picked = ([values[i] for i in chosen] for values in (test.inputs, test.predictions, test.references))
    role.show(*picked, ctx.out / "samples")
    role.plots(test.scores, ctx.out / "plots")
    ctx.run.artifact(ctx.out / "samples", "samples")
    ctx.run.artifact(ctx.out / "plots", "plots")


if __name__ == "__main__":
    stage.main("evaluate", evaluate, paths.evaluation)
