"""Prune a model structurally, the base or another variant, then fine-tune what is left with the whole one as teacher.

reads   models/<task>/<of>/checkpoint/, models/<task>/<teacher>/checkpoint/, data/<task>/validated/dataset/,
        data/<task>/augmented/dataset/
writes  models/<task>/<variant>/checkpoint/, with allocation.json where the share of each layer was measured
run     python -m stages.prune detection pruned
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from compression.networks import sparsity
from core import paths, stage
from core.files import write_json
from training import allocate, compress, gradients, results, statistics


def prune(ctx: stage.Context) -> None:
    assert ctx.variant is not None
    settings = ctx.params.prune[ctx.variant]
    base = compress.begin(ctx, settings)
    role, model, loaders = base.role, base.network, base.loaders
    hard = compress.labelled(role, ctx.params)
    if settings.importance == "taylor":
        gradients.accumulate(model, loaders.train, hard)
    before = results.counts(model, loaders.val, hard)
    arch, zeros = _remove(ctx, base, settings, hard)
    after = results.counts(model, loaders.val, hard)
    statistics.reestimate(model, loaders.train, hard)
    print(
        f"{ctx.name}: {before['parameters']:,} parameters before, {after['parameters']:,} after pruning; "
        f"{before['macs'] / 1e6:,.1f} million multiply-adds an input before, {after['macs'] / 1e6:,.1f} after"
    )
    loss = compress.taught(role, base.teacher, settings, ctx.params) if settings.soft_weight else hard
    loaders = compress.relabelled(ctx, base.teacher, loaders, settings)
    saved, fitted = compress.learn(ctx, base, model, arch, loaders, loss, settings)
    results.write(ctx, saved, fitted, after if zeros is None else after | {"zeros": zeros})


def _remove(
    ctx: stage.Context, base: compress.Base, settings: Any, loss: compress.Loss
) -> tuple[dict[str, Any], int | None]:
    """Prune the network in place; the architecture of what is left, and how many weights are zero, not removed."""
    if settings.pattern != "channels":
        zeros, total = sparsity.prune(
            base.network, settings.ratio, settings.pattern, settings.importance, settings.scaling
        )
        print(f"{ctx.name}: {zeros:,} of {total:,} weights are zero from now on; no kernel here skips them")
        return base.checkpoint.arch, zeros
    if settings.allocation == "measured":
        shares, found = allocate.shares(base, settings, loss)
        settings = settings.model_copy(update={"ratio": shares})
        tried = {layer: [asdict(each) for each in several] for layer, several in found.items()}
        write_json(ctx.out / "allocation.json", {"shares": shares.ratio, "tried": tried})
    return base.role.prune(base.network, base.checkpoint.arch, settings), None


if __name__ == "__main__":
    stage.main("prune", prune, paths.checkpoint)
