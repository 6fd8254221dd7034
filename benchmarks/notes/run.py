"""One experiment: a clone of this commit, the preset, and the stages up to the evaluation of fp32 and int8."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.clones import clone, do, machine

MEASURED = Path(__file__).parent / "measured"
EXPERIMENTS = Path(__file__).parent / "experiments.yaml"
PRECISIONS = ("fp32", "int8")


def run(preset: str, data: str | None, folder: Path) -> Path:
    """Run `preset` in a clone at `folder` and write `measured/<preset>.json`; returns that file.

    data: a local copy of the preset's data. Raises: FileExistsError when there is something at `folder`.
    """
    commit = clone(folder)
    do(sys.executable, "-m", "pipelines.preset", preset, *(["--data", data] if data else []), cwd=folder)
    (task,) = yaml.safe_load((folder / "presets" / f"{preset}.yaml").read_text(encoding="utf-8"))["tasks"]
    do("dvc", "repro", f"validate@{task}", cwd=folder)
    started = time.perf_counter()
    do("dvc", "repro", f"train@{task}", cwd=folder)
    seconds = time.perf_counter() - started
    do("dvc", "repro", *(f"evaluate@{task}-base-{precision}" for precision in PRECISIONS), cwd=folder)
    MEASURED.mkdir(exist_ok=True)
    path = MEASURED / f"{preset}.json"
    (metric,) = (one.get("metric") for one in experiments() if one["preset"] == preset)
    found = {"commit": commit, "machine": machine(), "training_s": round(seconds), **figures(folder, task, metric)}
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return path


def experiments() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(EXPERIMENTS.read_text(encoding="utf-8"))
    return found


def figures(folder: Path, task: str, metric: str | None = None) -> dict[str, Any]:
    """What the stages left of `base` in the checkout `folder`. metric: None is the task's main one."""
    result = json.loads((folder / "models" / task / "base" / "checkpoint" / "result.json").read_text())
    found: dict[str, Any] = {key: result[key] for key in ("epochs", "parameters", "macs")}
    for precision in PRECISIONS:
        scores = json.loads((folder / "evaluations" / task / f"base-{precision}" / "metrics.json").read_text())
        main = metric or scores["main"]
        found[precision] = {
            "val": scores["val"]["metrics"][main],
            "test": scores["metrics"][main],
            "interval": scores["intervals"][main],
            "size_mb": scores["size_mb"],
        }
    return found | {"metric": main, "val_inputs": scores["val"]["inputs"], "test_inputs": scores["inputs"]}
