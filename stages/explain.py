"""Show what led a model folder to its predictions, on a few test inputs, through the Predictor that ships.

reads   models/<task>/<variant>/<precision>/, data/<task>/validated/dataset/
writes  explanations/<task>/<variant>-<precision>/: pictures or a fragment of HTML
run     python -m stages.explain classification base int8
"""

from __future__ import annotations

from core import paths, stage, task
from core.spread import spread


def explain(ctx: stage.Context) -> None:
    assert ctx.variant is not None and ctx.precision is not None
    predict, scoring = task.load(ctx.task, "predict"), task.load(ctx.task, "score")
    dataset = paths.clean(ctx.task)
    inputs, references = predict.inputs(dataset, "test"), scoring.references(dataset, "test")
    chosen = spread(len(inputs), ctx.params.explain.samples)
    predictor = predict.Predictor(paths.model(ctx.task, ctx.variant, ctx.precision), threads=ctx.threads)
    picked = [inputs[i] for i in chosen], [references[i] for i in chosen]
    task.load(ctx.task, "explain").explain(predictor, *picked, ctx.out, ctx.params, ctx.seed)
    ctx.run.artifact(ctx.out, "explanations")
    print(f"{ctx.name}: {len(chosen)} predictions explained")


if __name__ == "__main__":
    stage.main("explain", explain, paths.explanation)
