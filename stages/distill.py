"""Train a smaller student from the base or another variant: soft targets, and hints where the task has them.

reads   models/<task>/<of>/checkpoint/, data/<task>/validated/dataset/, data/<task>/augmented/dataset/
writes  models/<task>/<variant>/checkpoint/
run     python -m stages.distill detection distilled
"""

from __future__ import annotations

from compression.networks import distillation, inheritance
from core import paths, stage
from core.checkpoint import Checkpoint
from training import compress, results, statistics
from training.fit import fit


def distill(ctx: stage.Context) -> None:
    assert ctx.variant is not None
    settings = ctx.params.distill[ctx.variant]
    role, base, teacher, loaders, watched = compress.begin(ctx, settings)
    arch = role.student(base.arch, settings)
    student = role.build(arch, initial=True)
    hard = compress.labelled(role, ctx.params)
    counts = results.counts(student, loaders.val, hard)
    if settings.initial == "teacher":
        copied = inheritance.inherit(student, teacher)
        statistics.reestimate(student, loaders.train, hard)
        print(f"{ctx.name}: {copied:,} of the student's {counts['parameters']:,} parameters begin as the teacher's")
    if hasattr(role, "regress"):
        role.regress(student, teacher)
    loss = compress.taught(role, teacher, settings, ctx.params)
    loaders = compress.relabelled(ctx, teacher, loaders, settings)
    fitted = fit(ctx, role, student, loaders, loss, settings.train, watched)
    weights = distillation.shipped(fitted.weights)
    results.write(ctx, Checkpoint(arch, weights, base.assets), fitted, counts)


if __name__ == "__main__":
    stage.main("distill", distill, paths.checkpoint)
