"""Prune the base model structurally, then fine-tune what is left.

reads   models/<task>/base/checkpoint/, data/<task>/validated/dataset/, data/<task>/augmented/dataset/
writes  models/<task>/<variant>/checkpoint/
run     python -m stages.prune detection pruned
"""

from __future__ import annotations

from typing import Any

from core import checkpoint, paths, stage, task
from core.checkpoint import Checkpoint
from training import hardware, results, statistics
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
    data, params = task.load(ctx.task, "data"), ctx.params.model_copy(update={"train": settings.train})
    loaders = data.loaders(paths.clean(ctx.task), augmented, params, ctx.seed, base.assets)

    def loss(net: Any, batch: Any) -> Any:
        return role.loss(net, batch, ctx.params)

    example = next(iter(loaders.val))
    before = results.parameters(model), results.macs(model, example, loss)
    arch = role.prune(model, base.arch, settings)
    after = results.parameters(model), results.macs(model, example, loss)
    statistics.reestimate(model, loaders.train, loss)
    sizes = dict(zip(("parameters_before", "macs_before", "parameters", "macs"), (*before, *after), strict=True))
    print(
        f"{ctx.name}: {before[0]:,} parameters before, {after[0]:,} after pruning; "
        f"{before[1] / 1e6:,.0f} million multiply-adds for a validation batch before, {after[1] / 1e6:,.0f} after"
    )
    fitted = fit(ctx, role, model, loaders, loss, settings.train)
    results.write(ctx, Checkpoint(arch, fitted.weights, base.assets), fitted, sizes)


if __name__ == "__main__":
    stage.main("prune", prune, paths.checkpoint)
