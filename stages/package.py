"""Package the chosen model: self-contained, with golden samples, model card and passport; registered in MLflow.

reads   reports/<task>/comparison.json, models/<task>/
writes  packages/<task>/: model/, golden/, MODEL_CARD.md, passport.json
run     python -m stages.package detection
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from core import lineage, onnx_session, passport, paths, stage, task
from core.errors import GateError
from core.files import read_json, sha256, write_json, write_text
from core.tracking import ledger
from evaluation import card

GOLDEN = 5
"""Validation inputs that travel with the model, with what it must predict for them."""
ALIAS = "champion"


def package(ctx: stage.Context) -> None:
    comparison = read_json(paths.report(ctx.task) / "comparison.json")
    if comparison["chosen"] is None:
        missed = "\n".join(f"  - {r['variant']} {r['precision']}: {'; '.join(r['misses'])}" for r in comparison["rows"])
        raise GateError(
            f"no candidate keeps every limit of {ctx.task}.compare.budget, so nothing is packaged:\n{missed}\n"
            "Improve the model, or loosen the budget in params.yaml."
        )
    variant, precision = comparison["chosen"]
    row = next(r for r in comparison["rows"] if [r["variant"], r["precision"]] == comparison["chosen"])
    values = provenance(ctx, comparison, row)
    links = passport.chained(values)

    shutil.copytree(paths.model(ctx.task, variant, precision), ctx.out / "model")
    passport.stamp(ctx.out / "model", links)
    onnx_session.seal(ctx.out / "model")
    golden(ctx, ctx.out)
    validation = read_json(paths.validated(ctx.task) / "validation.json")
    write_text(
        ctx.out / "MODEL_CARD.md",
        card.render(comparison, row, validation, values, task.load(ctx.task, "predict").EXAMPLE),
    )
    passport.seal(ctx.out, links)
    ctx.run.tag("chosen", f"{variant} {precision}")
    ctx.run.register(ctx.out, ctx.task, ALIAS)  # only here: a model that fails the gate never gets this far
    print(f"{ctx.name}: {variant} {precision} -> {paths.package(ctx.task)}/, registered as {ctx.task}@{ALIAS}")


def provenance(ctx: stage.Context, comparison: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """The passport's links, from raw data to evaluation. Only the keys of the runs differ between two executions."""
    prepared, validated = paths.prepared(ctx.task), paths.validated(ctx.task)
    source = ctx.params.data
    trained = paths.checkpoint(ctx.task, row["variant"])
    return {
        "data": {
            "source": source.source,
            "pin": source.sha256 or source.commit,
            "prepared": lineage.dvc_md5(prepared) or lineage.digest(prepared),
        },
        "validation": {
            "result": sha256(validated / "validation.json"),
            "quarantine": sha256(validated / "quarantine.jsonl"),
        },
        "code": lineage.git_commit(),
        "params": sha256(Path("params.yaml")),
        "environment": {name: sha256(Path(name)) for name in ("requirements.lock", "requirements-torch.txt")},
        "runs": {name: ledger.run_of(name) for name in makers(ctx, row)} | {ctx.name: ctx.run.key},
        "checkpoint": {path.name: sha256(path) for path in sorted(trained.glob("*.safetensors"))},
        "evaluation": {
            "val": {comparison["metric"]: row["quality"], "interval": row["interval"]},
            "test": row["metrics"] | {"interval": row["test_interval"]},
        },
    }


def makers(ctx: stage.Context, row: dict[str, Any]) -> list[str]:
    """Names of the stage instances that made a candidate, first to last."""
    variant, precision = row["variant"], row["precision"]
    own = {"prune": ctx.head.pruned, "distill": ctx.head.distilled, "export": [variant]}
    names = [f"train@{ctx.task}", *(f"{s}@{ctx.task}-{variant}" for s, made in own.items() if variant in made)]
    if precision != "fp32":
        names.append(f"quantize@{ctx.task}-{variant}-{precision}")
    return [*names, f"evaluate@{ctx.task}-{variant}-{precision}"]


def golden(ctx: stage.Context, folder: Path) -> None:
    """`golden/samples.json`: inputs (files beside it, or text) with the packaged model's own outputs."""
    role = task.load(ctx.task, "predict")
    inputs = role.inputs(paths.clean(ctx.task), "val", GOLDEN)
    outputs = role.Predictor(folder / "model")(inputs)
    (folder / "golden").mkdir()
    samples = []
    for i, (value, output) in enumerate(zip(inputs, outputs, strict=True)):
        if isinstance(value, Path):
            name = f"{i}{value.suffix}"
            shutil.copy2(value, folder / "golden" / name)
            samples.append({"file": name, "output": output})
        else:
            samples.append({"input": value, "output": output})
    write_json(folder / "golden" / "samples.json", samples)


if __name__ == "__main__":
    stage.main("package", package, paths.package)
