"""Write the augmented train split, seeded, with a contact sheet to look at.

reads   data/<task>/validated/dataset/
writes  data/<task>/augmented/: dataset/, contact_sheet.png, summary.json
run     python -m stages.augment detection
"""

from __future__ import annotations

from core import paths, stage, task
from core.brief import brief
from core.files import write_json


def augment(ctx: stage.Context) -> None:
    summary = task.load(ctx.task, "augment").augment(paths.clean(ctx.task), ctx.out, ctx.params, ctx.seed)
    write_json(ctx.out / "summary.json", summary)
    print(f"{ctx.name}: {brief(summary)}")


if __name__ == "__main__":
    stage.main("augment", augment, paths.augmented)
