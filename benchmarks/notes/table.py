"""`docs/notes.md`: the notes' figures beside ours, all of them from `experiments.yaml` and `measured/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from benchmarks.clones import ROOT
from benchmarks.notes.run import MEASURED
from evaluation.tables import short

PAGE = ROOT / "docs" / "notes.md"
EXPERIMENTS = Path(__file__).parent / "experiments.yaml"
HEADING = """\
# The lecture notes' experiments, made again

Made by `python -m benchmarks.notes table` from `benchmarks/notes/experiments.yaml` and from what
`python -m benchmarks.notes run PRESET` has measured; do not edit it.

Accuracy on the test split, which chose nothing, of the ONNX file through ONNX Runtime, with its 95 % interval.
*Minutes* are those of the stage `train`, its start included, of those that it may take on two cores; the machine may
have done other work meanwhile.
"""
COLUMNS = (
    *("preset", "the notes", "ours", "fp32", "int8", "goal", "MB fp32 / int8", "parameters", "multiply-adds"),
    *("epochs", "minutes"),
)


def page(measured: Path = MEASURED) -> str:
    """The whole document; an experiment that was not measured says so."""
    rows, remarks, machines = [], [], dict[str, list[str]]()
    for experiment in experiments():
        preset, notes = experiment["preset"], experiment.get("notes")
        told = f"{notes['accuracy']:.4f}: {notes['network']}" if notes else "-"
        found = read(measured / f"{preset}.json")
        rows.append([f"`{preset}`", told, experiment["ours"], *_cells(experiment, found)])
        remarks.append(f"- `{preset}`: {experiment['why'].strip()}")
        if found:
            machines.setdefault(f"{found['machine']}, at commit `{found['commit'][:12]}`", []).append(f"`{preset}`")
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS), *(f"| {' | '.join(row)} |" for row in rows)]
    where = [f"- {', '.join(presets)}: {machine}" for machine, presets in machines.items()]
    parts = [HEADING, *lines, "", "What to know before comparing:", "", *remarks]
    return "\n".join([*parts, "", "Measured on:", "", *where, ""] if where else [*parts, ""])


def experiments() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(EXPERIMENTS.read_text(encoding="utf-8"))
    return found


def read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _cells(experiment: dict[str, Any], found: dict[str, Any] | None) -> list[str]:
    """What stands in the columns from `fp32` on."""
    goal, minutes = experiment["goal"], experiment["minutes"]
    if found is None:
        return ["not measured", "", f"{goal:.3f}", "", "", "", "", f"of {minutes}"]
    whole, of_bytes = found["fp32"], found["int8"]
    reached = "reached" if whole["test"] >= goal else f"short by {goal - whole['test']:.4f}"
    return [
        f"{whole['test']:.4f} ({whole['interval'][0]:.4f} – {whole['interval'][1]:.4f})",
        f"{of_bytes['test']:.4f}",
        f"{goal:.3f}: {reached}",
        f"{whole['size_mb']:.2f} / {of_bytes['size_mb']:.2f}",
        short(found["parameters"]),
        short(found["macs"]),
        str(found["epochs"]),
        f"{found['training_s'] / 60:.1f} of {minutes}",
    ]
