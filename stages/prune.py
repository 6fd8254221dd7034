"""Prune the base model structurally, then fine-tune what is left.

reads   models/<task>/base/checkpoint/, data/<task>/validated/dataset/, data/<task>/augmented/dataset/
writes  models/<task>/<variant>/checkpoint/
run     python -m stages.prune detection pruned
"""

from __future__ import annotations

from core import checkpoint, paths, stage, task
from core.checkpoint import Checkpoint
from training import hardware, results
from training.fit import fit


def prune(ctx: stage.Context) -> None:
    hardware.prepare(ctx.threads, ctx.seed)
    assert ctx.variant is not None
    role, settings = task.load(ctx.task, "model"), ctx.params.prune[ctx.variant]
    augmented = paths.augmented(ctx.task) / "dataset"
    ctx.run.dataset("train", augmented)
    base = checkpoint.load(paths.checkpoint(ctx.task, "base"))
    model = role.build(base.arch)
    model.load_state_dict(base.weights)
    before = results.parameters(model)
    arch = role.prune(model, base.arch, settings)
    sizes = {"parameters_before": before, "parameters": results.parameters(model)}
    print(f"{ctx.name}: {before:,} parameters before, {sizes['parameters']:,} after pruning")
    data, params = task.load(ctx.task, "data"), ctx.params.model_copy(update={"train": settings.train})
    loaders = data.loaders(paths.clean(ctx.task), augmented, params, ctx.seed, base.assets)
    fitted = fit(ctx, role, model, loaders, lambda net, batch: role.loss(net, batch, ctx.params), settings.train)
    results.write(ctx, Checkpoint(arch, fitted.weights, base.assets), fitted, sizes)


if __name__ == "__main__":
    stage.main("prune", prune, paths.checkpoint)
