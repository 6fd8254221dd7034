"""One task's base model, trained by the engine and by a bare loop side by side."""

from __future__ import annotations

import copy
import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clones import ROOT, clone, do, machine, told
from benchmarks.training.bare import Bare, Beside
from core import matrix, paths, stage, task
from evaluation import timing
from training import hardware
from training.fit import fit
from training.watch import watched

MEASURED = Path(__file__).parent / "measured"
STEPS = 60
"""Of each loop at least; a multiple of `timing.BLOCKS`."""
THREADS = 1
"""Threads that wait for each other tell more of what else the machine does than of either loop."""
WAYS: dict[str, dict[str, Any]] = {"as params": {}, "without the average": {"ema_decay": 0.0}}
COMPILED: dict[str, dict[str, Any]] = {"compile": {"ema_decay": 0.0, "compile": True}}


def run(name: str, folder: Path, ways: dict[str, dict[str, Any]]) -> Path:
    """Make the data of the sample in a clone at `folder` and measure there. Returns: `measured/<task>.json`.

    Raises: FileExistsError when there is something at `folder`.
    """
    clone(folder)
    do(sys.executable, "-m", "pipelines.repro", f"augment@{name}", cwd=folder)
    extra = ["--compile"] if COMPILED.keys() <= ways.keys() else []
    do(sys.executable, "-m", "benchmarks.training", "here", name, *extra, cwd=folder)
    MEASURED.mkdir(exist_ok=True)
    return Path(shutil.copy(folder / MEASURED.relative_to(ROOT) / f"{name}.json", MEASURED))


def here(name: str, ways: dict[str, dict[str, Any]]) -> Path:
    """Measure in the working directory, a checkout with the data of the task. Returns: `measured/<task>.json`."""
    path = MEASURED / f"{name}.json"
    rows: list[dict[str, Any]] = []
    about = {"commit": told("git", "rev-parse", "HEAD", cwd=ROOT), "machine": machine(), "threads": THREADS}

    def measure(ctx: stage.Context) -> None:
        MEASURED.mkdir(exist_ok=True)
        for way, changes in ways.items():
            rows.append(row(ctx, way, changes))
            path.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n", encoding="utf-8")

    stage.execute("train", measure, lambda name: paths.STATE / "benchmarks" / f"training-{name}", [name])
    return path


def row(ctx: stage.Context, way: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Medians of a step in milliseconds of CPU time, and the ratio of engine to bare loop with its 95 % interval."""
    hardware.prepare(THREADS, ctx.seed)
    role = task.load(ctx.task, "model")
    learnt = paths.trained_on(ctx.task, matrix.augments(ctx.params))
    loaders = task.load(ctx.task, "data").loaders(paths.clean(ctx.task), learnt, ctx.params, ctx.seed, None)
    steps = min(len(loaders.train), STEPS + 2)
    epochs = math.ceil(STEPS / max(1, steps - 2))
    asked = {"precision": "32", "epochs": epochs, "validate_every": epochs, "validate_samples": 1, "patience": None}
    train = ctx.params.train.model_copy(update=asked | changes)
    model = role.build(role.architecture(ctx.params, loaders.assets), initial=True)
    watch = watched(ctx.task, paths.clean(ctx.task), ctx.params, train, loaders.assets)

    def loss(net: Any, batch: Any) -> Any:
        return role.loss(net, batch, ctx.params)

    bare = Bare(copy.deepcopy(model), role, loss, train, steps, watch.better)
    beside = Beside(loaders.train, bare, steps)
    shutil.rmtree(paths.resume(ctx.name), ignore_errors=True)  # another way's checkpoints
    fit(ctx, role, model, replace(loaders, train=beside), loss, train, watch)
    count = len(beside.seconds["bare"]) // timing.BLOCKS * timing.BLOCKS
    seconds = {name: np.array(taken[-count:]) for name, taken in beside.seconds.items()}
    ratio = timing.ratio(seconds["engine"], seconds["bare"])
    pairs = zip(model.state_dict().values(), bare.model.state_dict().values(), strict=True)
    return {
        "way": way,
        "steps": count,
        "step_ms": {name: round(1000 * float(np.median(taken)), 3) for name, taken in seconds.items()},
        "ratio": {"value": ratio.value, "low": ratio.low, "high": ratio.high},
        "equal": all(torch.equal(mine, other) for mine, other in pairs),
    }
