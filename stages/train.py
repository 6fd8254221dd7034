"""Train the base model of a task.

reads   data/<task>/validated/dataset/, data/<task>/augmented/dataset/, the file that <task>.model.weights names
writes  models/<task>/base/checkpoint/: weights, architecture, tokenizer or classes, curves, result.json, initial.json
run     python -m stages.train detection
"""

from __future__ import annotations

from typing import Any

from core import matrix, paths, stage, task
from core.checkpoint import INITIAL, Checkpoint
from core.files import write_json
from training import hardware, parts, results, weights
from training.fit import fit
from training.watch import watched


def train(ctx: stage.Context) -> None:
    hardware.prepare(ctx.learning_threads, ctx.seed)
    role = task.load(ctx.task, "model")
    learnt = paths.trained_on(ctx.task, matrix.augments(ctx.params))
    ctx.run.dataset("train", learnt)
    params = ctx.params.model_copy(update={"train": parts.smaller(ctx.params.train)})
    loaders = task.load(ctx.task, "data").loaders(paths.clean(ctx.task), learnt, params, ctx.seed, None)
    arch = role.architecture(ctx.params, loaders.assets)
    model = role.build(arch, initial=True)
    initial = weights.start(ctx, role, model)
    ctx.run.tag("initial_weights", initial.get("sha256", "none"))
    train = ctx.params.train
    watch = watched(ctx.task, paths.clean(ctx.task), ctx.params, train, loaders.assets)

    def loss(net: Any, batch: Any) -> Any:
        return role.loss(net, batch, ctx.params)

    counts = results.counts(model, loaders.val, loss)
    fitted = fit(ctx, role, model, loaders, loss, train, watch)
    results.write(ctx, Checkpoint(arch, fitted.weights, loaders.assets), fitted, counts)
    write_json(ctx.out / INITIAL, initial)


if __name__ == "__main__":
    stage.main("train", train, lambda name: paths.checkpoint(name, "base"))
