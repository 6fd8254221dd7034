"""Train a smaller student from the base or another variant: soft targets, and hints where the task has them.

reads   models/<task>/<of>/checkpoint/, models/<task>/<teacher>/checkpoint/, data/<task>/validated/dataset/,
        data/<task>/augmented/dataset/
writes  models/<task>/<variant>/checkpoint/
run     python -m stages.distill detection distilled
"""

from __future__ import annotations

from compression.networks import inheritance
from core import paths, stage
from training import compress, results, statistics


def distill(ctx: stage.Context) -> None:
    assert ctx.variant is not None
    settings = ctx.params.distill[ctx.variant]
    base = compress.begin(ctx, settings)
    role, teacher, loaders = base.role, base.teacher, base.loaders
    arch = role.student(base.checkpoint.arch, settings)
    student = role.build(arch, initial=True)
    hard = compress.labelled(role, ctx.params)
    counts = results.counts(student, loaders.val, hard)
    if settings.initial == "teacher":
        copied = inheritance.inherit(student, base.network)
        statistics.reestimate(student, loaders.train, hard)
        print(f"{ctx.name}: {copied:,} of {counts['parameters']:,} parameters begin as those of {settings.of}")
    if hasattr(role, "regress"):
        role.regress(student, teacher)
    loss = compress.taught(role, teacher, settings, ctx.params)
    loaders = compress.relabelled(ctx, teacher, loaders, settings)
    saved, fitted = compress.learn(ctx, base, student, arch, loaders, loss, settings)
    results.write(ctx, saved, fitted, counts)


if __name__ == "__main__":
    stage.main("distill", distill, paths.checkpoint)
