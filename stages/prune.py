"""Prune the base model structurally, then fine-tune what is left.

reads   models/<task>/base/checkpoint/, data/<task>/validated/dataset/, data/<task>/augmented/dataset/
writes  models/<task>/<variant>/checkpoint/
run     python -m stages.prune detection pruned
"""

from __future__ import annotations

from typing import Any

from core import paths, stage
from core.checkpoint import Checkpoint
from training import compress, results, statistics
from training.fit import fit


def prune(ctx: stage.Context) -> None:
    assert ctx.variant is not None
    settings = ctx.params.prune[ctx.variant]
    role, base, model, loaders, watched = compress.begin(ctx, settings.train)

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
    fitted = fit(ctx, role, model, loaders, loss, settings.train, watched)
    results.write(ctx, Checkpoint(arch, fitted.weights, base.assets), fitted, sizes)


if __name__ == "__main__":
    stage.main("prune", prune, paths.checkpoint)
