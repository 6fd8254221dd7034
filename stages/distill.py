"""Train a smaller student from the base model: soft targets, and hints where the task has them.

reads   models/<task>/base/checkpoint/, data/<task>/validated/dataset/, data/<task>/augmented/dataset/
writes  models/<task>/<variant>/checkpoint/
run     python -m stages.distill detection distilled
"""

from __future__ import annotations

from compression import distillation
from core import paths, stage
from core.checkpoint import Checkpoint
from training import compress, results
from training.fit import fit


def distill(ctx: stage.Context) -> None:
    assert ctx.variant is not None
    settings = ctx.params.distill[ctx.variant]
    role, base, teacher, loaders, watched = compress.begin(ctx, settings.train)
    teacher.eval().requires_grad_(False)
    arch = role.student(base.arch, settings)
    student = role.build(arch, initial=True)
    counts = results.counts(student, loaders.val, lambda net, batch: role.loss(net, batch, ctx.params))
    if hasattr(role, "regress"):
        role.regress(student, teacher)
    fitted = fit(
        ctx,
        role,
        student,
        loaders,
        # The teacher lives in this closure, not in the module that is trained: it is neither optimised nor saved.
        lambda net, batch: role.soft_targets(
            net, teacher.to(next(net.parameters()).device), batch, settings, ctx.params
        ),
        settings.train,
        watched,
    )
    weights = distillation.shipped(fitted.weights)
    results.write(ctx, Checkpoint(arch, weights, base.assets), fitted, counts)


if __name__ == "__main__":
    stage.main("distill", distill, paths.checkpoint)
