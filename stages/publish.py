"""Give the package the forms in which other servers take models, and register it in MLflow.

It becomes `champion` there when it is no worse than the one before (`evaluation/succession.py`); that is written into
an append-only log (`python -m ops.promotions`).

reads   packages/<task>/
writes  deploy/<task>/: triton/ (a model repository), mlflow/ (a pyfunc model, which becomes the registered version)
run     python -m stages.publish detection
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core import paths, stage, task
from core.errors import ModelError
from core.files import read_json
from evaluation import succession, triton
from ops import passport, promotions
from ops.tracking import model

ALIAS = "champion"


def publish(ctx: stage.Context) -> None:
    package = paths.package(ctx.task)
    if problems := passport.verify(package):
        raise ModelError(f"{package} is not as it was packaged: {problems[0]}; run `package@{ctx.task}` again")
    triton.repository(package / "model", ctx.task, ctx.out / "triton")
    batch = task.load(ctx.task, "serve").MAX_BATCH
    model.save(package, ctx.out / "mlflow", ctx.task, example(package), batch)
    seal = passport.read(package)["seal"]
    ctx.run.tag("passport", seal)
    record = promotion(ctx, package, seal)
    ctx.run.tag("promotion", record["seal"])
    ctx.run.register(ctx.out / "mlflow", ctx.task, ALIAS if record["promoted"] else None)
    print(f"{ctx.name}: {paths.deploy(ctx.task)}/, registered as {ctx.task}{f'@{ALIAS}' if record['promoted'] else ''}")
    if not record["promoted"]:
        print(f"  note: it is not {ALIAS}: {record['why']}. {ctx.task}@{ALIAS} stays; a wider margin lets it pass")


def promotion(ctx: stage.Context, package: Path, seal: str) -> dict[str, Any]:
    """The record of whether this package becomes champion; of one that was judged before, that record."""
    records = promotions.read(ctx.task)
    if records and records[-1]["package"] == seal:
        return records[-1]
    champion, challenger = promotions.champion(records), succession.figures(package)
    margin = ctx.params.compare.budget.max_loss
    passes, why = succession.verdict(challenger, champion and champion["figures"], margin)
    return promotions.append(ctx.task, passes, why, seal, challenger)


def example(package: Path) -> Any:
    """The first golden sample's input: bytes of a file, or text."""
    first = read_json(package / "golden" / "samples.json")[0]
    return (package / "golden" / first["file"]).read_bytes() if "file" in first else first["input"]


if __name__ == "__main__":
    stage.main("publish", publish, paths.deploy)
