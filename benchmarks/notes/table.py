"""`docs/notes.md`: the notes' figures beside ours, all of them from `experiments.yaml` and `measured/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.clones import ROOT
from benchmarks.notes.run import MEASURED, experiments
from evaluation.tables import short

PAGE = ROOT / "docs" / "notes.md"
HEADING = """\
# The lecture notes' experiments, made again

Made by `python -m benchmarks.notes table` from `benchmarks/notes/experiments.yaml` and from what
`python -m benchmarks.notes run PRESET` has measured; do not edit it.

Figures are of the test split, which chose nothing, of the ONNX file through ONNX Runtime, with their 95 % interval.
*Minutes* are those of the stage `train`, its start included, and of those that it may take on two cores where a bound
is set; the machine may have done other work meanwhile.
"""
METRICS: dict[str | None, tuple[str, int]] = {
    None: ("Accuracy", 4),
    "accuracy": ("Accuracy of spoken digits", 4),
    "bleu_tokens": ("BLEU of greedy translations, on the tokens that the data give", 2),
}
"""Of an experiment: what its table is called, and how many digits a figure has."""
COLUMNS = (
    *("preset", "the notes", "ours", "fp32", "int8", "goal", "MB fp32 / int8", "parameters", "multiply-adds"),
    *("epochs", "minutes"),
)


def page(measured: Path = MEASURED) -> str:
    """The whole document; an experiment that was not measured says so."""
    tables, remarks, machines = [], [], dict[str, list[str]]()
    for metric, (title, digits) in METRICS.items():
        tables += [f"{title}:", "", f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
        for experiment in experiments():
            if experiment.get("metric") != metric:
                continue
            preset, notes = experiment["preset"], experiment.get("notes")
            told = f"{notes['score']:.{digits}f}: {notes['network']}" if notes else "-"
            found = read(measured / f"{preset}.json")
            cells = [f"`{preset}`", told, experiment["ours"], *_cells(experiment, found, digits)]
            tables.append(f"| {' | '.join(cells)} |")
            remarks.append(f"- `{preset}`: {experiment['why'].strip()}")
            if found:
                place = f"{found['machine']}, at commit `{found['commit'][:12]}`"
                machines.setdefault(place, []).append(f"`{preset}`")
        tables.append("")
    where = [f"- {', '.join(presets)}: {machine}" for machine, presets in machines.items()]
    parts = [HEADING, *tables, "What to know before comparing:", "", *remarks]
    return "\n".join([*parts, "", "Measured on:", "", *where, ""] if where else [*parts, ""])


def read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _cells(experiment: dict[str, Any], found: dict[str, Any] | None, digits: int) -> list[str]:
    """What stands in the columns from `fp32` on."""
    goal, bound = experiment["goal"], f" of {experiment['minutes']}" if experiment["minutes"] else ""
    aim = f"{goal:.{min(digits, 3)}f}"
    if found is None:
        return ["not measured", "", aim, "", "", "", "", bound.strip()]
    whole, of_bytes = found["fp32"], found["int8"]
    reached = "reached" if whole["test"] >= goal else f"short by {goal - whole['test']:.{digits}f}"
    low, high = whole["interval"]
    return [
        f"{whole['test']:.{digits}f} ({low:.{digits}f} – {high:.{digits}f})",
        f"{of_bytes['test']:.{digits}f}",
        f"{aim}: {reached}",
        f"{whole['size_mb']:.2f} / {of_bytes['size_mb']:.2f}",
        short(found["parameters"]),
        short(found["macs"]),
        str(found["epochs"]),
        f"{found['training_s'] / 60:.1f}{bound}",
    ]
