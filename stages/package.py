"""Package the chosen model: self-contained, with golden samples, statistics of its inputs, model card and passport.

reads   reports/<task>/comparison.json, models/<task>/, evaluations/<task>/, data/<task>/validated/
writes  packages/<task>/: model/, golden/, statistics.json, evaluation.json (what it was chosen by), MODEL_CARD.md,
        MODEL_CARD.html, passport.json
run     python -m stages.package detection
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from core import chains, lineage, matrix, onnx_session, paths, stage, task
from core.checkpoint import INITIAL
from core.errors import GateError
from core.files import read_json, sha256, write_json, write_text
from core.params import SourceParams
from core.spread import spread
from evaluation import card, front_matter, succession
from ops import drift, image, passport
from ops.tracking import ledger

GOLDEN = 5
"""Validation inputs that travel with the model, with what it must predict for them."""
WATCHED = 1000
"""Training inputs at most of which statistics are kept, against which a server compares what it is asked."""
IMAGE = Path("/usr/share/sbom")
"""Where an image has its bill of materials."""


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
    write_json(ctx.out / drift.NAME, statistics(ctx))
    write_json(ctx.out / succession.NAME, chosen_by(ctx, comparison, row, values))
    told = facts(ctx, comparison, row, values)
    text = card.render(told)
    write_text(ctx.out / "MODEL_CARD.md", front_matter.render(told) + text)
    write_text(ctx.out / "MODEL_CARD.html", card.html(text, f"{ctx.task}: model card"))
    passport.seal(ctx.out, links)
    ctx.run.tag("chosen", f"{variant} {precision}")
    ctx.run.artifact(ctx.out, "package")
    print(f"{ctx.name}: {variant} {precision} -> {paths.package(ctx.task)}/")


def provenance(ctx: stage.Context, comparison: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """The passport's links, from raw data to environment. Only the keys of the runs differ between two executions."""
    prepared, validated = paths.prepared(ctx.task), paths.validated(ctx.task)
    trained = paths.checkpoint(ctx.task, row["variant"])
    return {
        "data": {
            "source": ctx.params.data.address,
            "pin": pin(ctx.task, ctx.params.data),
            "prepared": lineage.dvc_md5(prepared) or lineage.digest(prepared),
            "license": ctx.params.data.known_license,
        },
        "validation": {
            "result": sha256(validated / "validation.json"),
            "quarantine": sha256(validated / "quarantine.jsonl"),
        },
        "weights": initial(ctx),
        "code": lineage.git_commit(),
        "params": {
            "params.yaml": sha256(Path("params.yaml")),
            "seed": ctx.seed,
            "learning_threads": ctx.learning_threads,
            ctx.task: ctx.params.model_dump(mode="json", by_alias=True),
        },
        "runs": {name: ledger.run_of(name) for name in makers(ctx, row)} | {ctx.name: ctx.run.key},
        "checkpoint": {path.name: sha256(path) for path in sorted(trained.glob("*.safetensors"))},
        "evaluation": {
            "signature": comparison["signature"],
            "val": {comparison["metric"]: row["quality"], "interval": row["interval"]},
            "test": row["metrics"] | {"interval": row["test_interval"]},
        },
        "environment": environment(ctx.head.environment),
    }


def environment(lock: str) -> dict[str, str]:
    """sha256 of the lock files; in an image of `docker/build.py` of its bill of materials, and where `make flow` has
    started it, of the image."""
    bills = sorted(IMAGE.glob("stillhouse-*.cdx.json"))
    locks = {name: sha256(Path(name)) for name in (lock, "requirements/torch.txt")}
    here = image.current()
    return locks | {path.name: sha256(path) for path in bills} | (image.named(*here) if here else {})


def pin(name: str, source: SourceParams) -> str | None:
    """What tells the raw data from any other: sha256 of an archive, a commit, or the sha256 of what `make repro` noted
    of the files of a local source; nothing of the sample, since code and seed make it."""
    if source.kind == "path":
        return sha256(paths.noted(name))
    return source.sha256 or source.commit


def initial(ctx: stage.Context) -> dict[str, Any]:
    """What training started from, as it noted itself, with the licence that params state or that is known."""
    noted: dict[str, Any] = read_json(paths.checkpoint(ctx.task, "base") / INITIAL)
    stated = {"license": ctx.params.data.weights_license or noted["license"]} if "sha256" in noted else {}
    return noted | stated


def makers(ctx: stage.Context, row: dict[str, Any]) -> list[str]:
    """Names of the stage instances that made a candidate, first to last."""
    variant, precision = row["variant"], row["precision"]
    names = [f"train@{ctx.task}"]
    for each in chains.ancestry(ctx.params, variant)[1:]:
        names.append(f"{'prune' if each in matrix.pruned(ctx.params) else 'distill'}@{ctx.task}-{each}")
    names.append(f"export@{ctx.task}-{variant}")
    if precision != "fp32":
        names.append(f"quantize@{ctx.task}-{variant}-{precision}")
    return [*names, f"evaluate@{ctx.task}-{variant}-{precision}"]


def golden(ctx: stage.Context, folder: Path) -> None:
    """`golden/samples.json`: inputs (files beside it, or text) with the packaged model's own outputs."""
    role = task.load(ctx.task, "predict")
    every = role.inputs(paths.clean(ctx.task), "val")
    inputs = [every[i] for i in spread(len(every), GOLDEN)]
    outputs = role.Predictor(folder / "model")(inputs)
    (folder / "golden").mkdir()
    samples = []
    for i, (value, output) in enumerate(zip(inputs, outputs, strict=True)):
        if hasattr(value, "read_bytes"):  # a file, or a part of one
            name = f"{i}{value.suffix}"
            (folder / "golden" / name).write_bytes(value.read_bytes())
            samples.append({"file": name, "output": output})
        else:
            samples.append({"input": value, "output": output})
    write_json(folder / "golden" / "samples.json", samples)


def statistics(ctx: stage.Context) -> dict[str, Any]:
    """Of the figures of training inputs that a server watches for drift."""
    serve, predict = task.load(ctx.task, "serve"), task.load(ctx.task, "predict")
    inputs = predict.inputs(paths.clean(ctx.task), "train", WATCHED)
    return drift.statistics([serve.features(serve.item(value)) for value in inputs])


def chosen_by(
    ctx: stage.Context, comparison: dict[str, Any], row: dict[str, Any], links: dict[str, Any]
) -> dict[str, Any]:
    """The model's figures, and those on resamples of `val`, so that its successor can be compared with it."""
    evaluation = paths.evaluation(ctx.task, row["variant"], row["precision"])
    return {
        **{key: row[key] for key in ("variant", "precision", "size_mb", "latency_ms", "speed", "test")},
        **{key: comparison[key] for key in ("metric", "title", "better", "signature")},
        "val": row["quality"],
        "inputs": comparison["val_inputs"],
        "seed": ctx.seed,
        "data": [links["data"]["prepared"], links["validation"]["quarantine"]],
        "why": comparison["verdict"]["why"],
        "resamples": read_json(evaluation / "resamples.json"),
    }


def facts(ctx: stage.Context, comparison: dict[str, Any], row: dict[str, Any], links: dict[str, Any]) -> card.Facts:
    """What the model card tells."""
    serve = task.load(ctx.task, "serve")
    return card.Facts(
        comparison=comparison,
        row=row,
        scores=read_json(paths.evaluation(ctx.task, row["variant"], row["precision"]) / "metrics.json"),
        validation=read_json(paths.validated(ctx.task) / "validation.json"),
        links=links,
        model=read_json(ctx.out / "model" / "model.json"),
        use=use(serve, task.load(ctx.task, "predict").EXAMPLE),
        data_license=ctx.params.data.known_license,
        code_license=Path("LICENSE").read_text(encoding="utf-8").partition("\n")[0].strip(),
    )


def use(serve: Any, example: Any) -> card.Use:
    """How the model card says a model is called. serve: the task's role; example: an input of the predictor."""
    fields, tag = sorted(set(serve.RAW.values())), getattr(serve, "PIPELINE_TAG", None)
    if len(fields) != 1:
        return card.Use(serve.VERB, None, False, example, tag)
    return card.Use(serve.VERB, fields[0], serve.Request.model_fields[fields[0]].annotation is bytes, example, tag)


if __name__ == "__main__":
    stage.main("package", package, paths.package)
