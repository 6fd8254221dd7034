"""What whole models take on this machine: all models that came with the same inputs, in the same rounds."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from core import devices, task
from core.devices import Measured
from core.errors import ModelError
from core.files import read_json
from evaluation import latency, timing
from ops.passport import graph

INPUTS = "golden"
"""The folder of inputs in a package, and in what `evaluation.device.kit` packs."""
MODEL = "model.json"
PATIENCE_S = 5.0
SEED = 7


def measure(folder: Path, rounds: int) -> dict[str, Measured]:
    """Models of a package, or of a kit, by their key. Raises: ModelError."""
    inputs, found = given(folder), sorted(path.parent for path in folder.glob(f"*/{MODEL}"))
    if not found:
        raise ModelError(f"{folder} holds no model folder; expected a package, or what evaluation.device.kit packs")
    predictors = {path.name: _predictor(path) for path in found}
    taken = latency.measure(predictors, inputs, 1, rounds, PATIENCE_S, SEED)
    session = secrets.token_hex(4)
    made = {}
    for path in found:
        files, name = _files(path), f"{folder.name}/{path.name}"
        made[devices.key(files)] = measured(name, files, len(inputs), taken[path.name], session)
    return made


def measured(name: str, files: dict[str, str], inputs: int, seconds: timing.Seconds, session: str) -> Measured:
    """seconds: (R,) of each call, R a multiple of `timing.BLOCKS`."""
    middle, low, high = timing.level(seconds)
    blocks = [round(1000 * float(each), 6) for each in timing.blocks(seconds)]
    figures = {"ms": 1000 * middle, "low": 1000 * low, "high": 1000 * high}
    return Measured(name=name, files=files, inputs=inputs, session=session, blocks=blocks, **figures)


def given(folder: Path) -> list[Any]:
    """Inputs that came with models."""
    try:
        samples = read_json(folder / INPUTS / "samples.json")
    except FileNotFoundError:
        raise ModelError(f"{folder} has no {INPUTS}/samples.json; expected a package, or a kit of models") from None
    return [folder / INPUTS / each["file"] if "file" in each else each["input"] for each in samples]


def _predictor(folder: Path) -> latency.Predict:
    name = read_json(folder / MODEL)["task"]
    if name not in task.names():
        raise ModelError(f"{folder} is a model of task {name!r}, which is not here; known: {', '.join(task.names())}")
    predict: latency.Predict = task.load(name, "predict").Predictor(folder, threads=1)
    return predict


def _files(folder: Path) -> dict[str, str]:
    """As `devices.files`; of a graph that was stamped when it was packaged, as it was before."""
    found = devices.files(folder)
    for path in folder.glob("*.onnx"):
        if graph.stamped(path):
            found[path.name] = graph.read(path).own["sha256"]
    return found
