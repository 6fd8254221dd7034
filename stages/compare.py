"""Put all variants and precisions of a task side by side and choose one within `compare.budget`, on `val`.

reads   evaluations/<task>/, timings/<task>/, explanations/<task>/ if any, data/<task>/validated/, the profile in
        devices/ that the budget names, and what augmentation and training left to look at
writes  reports/<task>/: comparison.json, comparison.md, comparison.csv, pareto.png, report.html, flipped/ (inputs that
        the chosen model and the reference see differently)
run     python -m stages.compare detection
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from core import devices, matrix, paths, stage
from core.files import read_json, write_json, write_text
from evaluation import candidates, flipped, gate, pareto, report, tables, timing
from evaluation.device import there


def compare(ctx: stage.Context) -> None:
    pairs = list(product(matrix.variants(ctx.params), ctx.params.precisions))
    folders = [paths.evaluation(ctx.task, *pair) for pair in pairs]
    timed = read_json(paths.timing(ctx.task) / "timing.json")
    rows = [
        candidates.read(folder, paths.checkpoint(ctx.task, pair[0]), timed["candidates"]["-".join(pair)], *pair)
        for folder, pair in zip(folders, pairs, strict=True)
    ]
    first = read_json(folders[0] / "metrics.json")
    candidates.mark_losses(rows, [read_json(folder / "resamples.json") for folder in folders], first["better"])
    faster, device = speeds(read_json(paths.timing(ctx.task) / "calls.json")["batch_1"]), None
    if named := ctx.params.compare.budget.device:
        profile = devices.whole(named)
        files = {"-".join(pair): devices.files(paths.model(ctx.task, *pair)) for pair in pairs}
        device, faster = there.mark(rows, timed, files, profile), there.comparing(files, profile)
    candidates.mark_front(rows, first["better"])
    chosen = gate.choose(rows, ctx.params.compare.budget, first["better"], faster)
    for row in rows:
        row["verdict"] = gate.words(row, chosen, faster)
    comparison = {
        "task": ctx.task,
        "metric": first["main"],
        "title": first["title"],
        "better": first["better"],
        "signature": first["signature"],
        "val_inputs": first["val"]["inputs"],
        "test_inputs": first["inputs"],
        "timing": {key: value for key, value in timed.items() if key != "candidates"},
        "device": device,
        "budget": ctx.params.compare.budget.model_dump(),
        "rows": rows,
        "chosen": [chosen["variant"], chosen["precision"]] if chosen else None,
        "verdict": gate.verdict(chosen, rows, faster),
    }
    write_json(ctx.out / "comparison.json", comparison)
    write_text(ctx.out / "comparison.md", tables.markdown(rows))
    write_text(ctx.out / "comparison.csv", tables.comma_separated(rows))
    pareto.picture(rows, first["title"], first["better"], comparison["chosen"], ctx.out / "pareto.png")
    differences = None
    if chosen is not None and chosen is not rows[0]:
        two = {gate.name(row): (row["variant"], row["precision"]) for row in (rows[0], chosen)}
        differences = flipped.compare(ctx.task, two, first["better"], ctx.out / "flipped")
    write_text(ctx.out / "report.html", report.render(comparison, ctx.out / "pareto.png", differences))
    for row in rows:
        name = f"{row['variant']}_{row['precision']}"
        ctx.run.metrics({f"{name}/{key}": row[key] for key in ("quality", "test", "latency_ms", "size_mb")})
    ctx.run.tag("better", first["better"])
    ctx.run.tag("gate", "passed" if chosen else "failed")
    ending = f"{first['title']} {chosen['test']:.4g} on test" if chosen else "package will refuse"
    beginning = f"{gate.name(chosen)} is chosen: " if chosen else ""
    print(f"{ctx.name}: {beginning}{comparison['verdict']['why']}; {ending}")


def speeds(calls: dict[str, list[float]]) -> gate.Faster:
    """Compares the times of any two rows. calls: candidate -> seconds in each round."""
    seconds = {name: np.array(taken) for name, taken in calls.items()}

    def faster(one: dict[str, Any], other: dict[str, Any]) -> timing.Ratio:
        return timing.ratio(*(seconds[f"{row['variant']}-{row['precision']}"] for row in (one, other)))

    return faster


if __name__ == "__main__":
    stage.main("compare", compare, paths.report)
