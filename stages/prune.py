"""Prune a model structurally, the base or another variant, then fine-tune what is left with the whole one as teacher.

reads   models/<task>/<of>/checkpoint/, data/<task>/validated/dataset/, data/<task>/augmented/dataset/
writes  models/<task>/<variant>/checkpoint/
run     python -m stages.prune detection pruned
"""

from __future__ import annotations

import copy

from core import paths, stage
from core.checkpoint import Checkpoint
from training import compress, gradients, results, statistics
from training.fit import fit


def prune(ctx: stage.Context) -> None:
    assert ctx.variant is not None
    settings = ctx.params.prune[ctx.variant]
    role, base, model, loaders, watched = compress.begin(ctx, settings)
    hard = compress.labelled(role, ctx.params)
    taught = compress.taught(role, copy.deepcopy(model), settings, ctx.params)
    if settings.importance == "taylor":
        gradients.accumulate(model, loaders.train, hard)
    before = results.counts(model, loaders.val, hard)
    arch = role.prune(model, base.arch, settings)
    after = results.counts(model, loaders.val, hard)
    statistics.reestimate(model, loaders.train, hard)
    print(
        f"{ctx.name}: {before['parameters']:,} parameters before, {after['parameters']:,} after pruning; "
        f"{before['macs'] / 1e6:,.1f} million multiply-adds an input before, {after['macs'] / 1e6:,.1f} after"
    )
    fitted = fit(ctx, role, model, loaders, taught if settings.soft_weight else hard, settings.train, watched)
    results.write(ctx, Checkpoint(arch, fitted.weights, base.assets), fitted, after)


if __name__ == "__main__":
    stage.main("prune", prune, paths.checkpoint)
