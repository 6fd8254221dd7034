"""fp32 and fp16 through ONNX Runtime: that the card computes, that both say the same, and how fast they are."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.card import step
from benchmarks.card.subjects import SIZES, Subject
from core import gpu, onnx_session, params, paths, stage, task
from core.files import read_json
from evaluation import latency, quality, timing
from ops import tracking
from stages.export import export

ROUNDS, PATIENCE_S = 20, 4.0
SIZES_CPU = (1, 2)
COMPARED, COMPARED_CPU = 64, 4
"""Inputs of the validation split on which precisions are compared."""
HEAVY = ("Conv", "MatMul", "Gemm")
"""What an operator that must be the card's has in its name."""
NEAR = 0.01
"""Of a number, or of the largest of its tensor: what fp16 may change, whose unit is 0.001."""


def measure(subject: Subject | None, cpu: bool) -> dict[str, Any]:
    """Export the trained base, make its fp16, compare and time them. Raises: ModelError without the provider."""
    assert subject is not None
    head, tasks = params.load()
    name, settings = subject.task, tasks[subject.task]
    role, dataset = task.load(name, "predict"), paths.clean(name)
    provider = gpu.CPU if cpu else gpu.CUDA
    folders = _folders(name, head, settings)
    inputs = role.inputs(dataset, "val", COMPARED_CPU if cpu else COMPARED)
    ways = {"fp32 CPU": ("fp32", gpu.CPU), "fp32": ("fp32", provider), "fp16": ("fp16", provider)}
    kernels = {way: _kernels(role, folders[precision], at, inputs) for way, (precision, at) in ways.items()}
    predictors = {way: role.Predictor(folders[precision], provider=at) for way, (precision, at) in ways.items()}
    found: dict[str, Any] = {"provider": provider, "kernels": kernels, "inputs": len(inputs)}
    found["quality"] = _quality(predictors, inputs, task.load(name, "score"), dataset, settings)
    found["values"] = {way: _values(folders, name, settings, head.seed, *ways[way]) for way in ("fp32", "fp16")}
    found["ms"] = {}
    for size in SIZES_CPU if cpu else SIZES:
        rounds, patience_s = (timing.BLOCKS, 0.0) if cpu else (ROUNDS, PATIENCE_S)
        seconds = latency.measure(predictors, inputs, size, rounds, patience_s, head.seed)
        found["ms"][str(size)] = {way: 1000 * float(np.median(taken)) for way, taken in seconds.items()}
    return found | {"problems": list(_problems(found, settings, task.load(name, "score")))}


def _folders(name: str, head: Any, settings: Any) -> dict[str, Path]:
    """Model folders of base, made here."""
    folders = {precision: paths.model(name, "base", precision) for precision in ("fp32", "fp16")}
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    quiet = tracking.Run(tracking.Nowhere())
    export(stage.Context("export", name, "base", None, head, settings, folders["fp32"], quiet))
    role = task.load(name, "quantize")
    role.quantize(folders["fp32"], folders["fp16"], "fp16", paths.clean(name), settings, head.seed)
    onnx_session.seal(folders["fp16"])
    return folders


def _kernels(role: Any, folder: Path, provider: str, inputs: list[Any]) -> dict[str, Any]:
    """By provider, how many kernels ran in one call, and the names of the heavy ones."""
    with tempfile.TemporaryDirectory(prefix="stillhouse-") as scratch:
        with onnx_session.profiled(Path(scratch)):
            predict = role.Predictor(folder, provider=provider)
        predict(inputs[:1])
        del predict  # its sessions write when they are gone
        gc.collect()
        events = [event for path in Path(scratch).glob("*.json") for event in read_json(path)]
    runs = [event["args"] for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    found: dict[str, Any] = {}
    for run in runs:
        place = found.setdefault(run["provider"], {"runs": 0, "heavy": []})
        place["runs"] += 1
        if any(word in run["op_name"] for word in HEAVY) and run["op_name"] not in place["heavy"]:
            place["heavy"].append(run["op_name"])
    return found


def _quality(
    predictors: Mapping[str, Any], inputs: list[Any], scoring: Any, dataset: Path, settings: Any
) -> dict[str, Any]:
    """The task's metric of each way, and the share of its predictions that are those of fp32 on the CPU."""
    references = scoring.references(dataset, "val")[: len(inputs)]
    said = {way: quality.predict(predictor, inputs) for way, predictor in predictors.items()}
    first = next(iter(said.values()))
    return {
        way: {
            "metric": scoring.MAIN,
            "value": float(scoring.score(predictions, references, settings)["metrics"][scoring.MAIN]),
            "same": sum(a == b for a, b in zip(first, predictions, strict=True)) / len(first),
        }
        for way, predictions in said.items()
    }


def _values(
    folders: Mapping[str, Path], name: str, settings: Any, seed: int, precision: str, provider: str
) -> dict[str, float]:
    """By graph, the share of output values that are near those of fp32 on the CPU, of the same inputs."""
    feeds = task.load(name, "quantize").feeds(folders["fp32"], paths.clean(name), settings, seed)
    found = {}
    for graph, samples in feeds.items():
        whole = onnx_session.session(folders["fp32"] / graph)
        other = onnx_session.session(folders[precision] / graph, provider=provider)
        near = [_near(a, b) for fed in samples for a, b in zip(whole.run(None, fed), other.run(None, fed), strict=True)]
        found[graph] = float(np.mean(near))
    return found


def _near(expected: np.ndarray, found: np.ndarray) -> float:
    """Share of near values; none where even the shape is another (NMS kept another number of boxes)."""
    if expected.shape != found.shape:
        return 0.0
    if not expected.size:
        return 1.0
    if not np.issubdtype(expected.dtype, np.floating):
        return float(np.mean(expected == found))
    scale = float(np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0))
    return float(np.mean(np.isclose(found, expected, rtol=NEAR, atol=NEAR * scale, equal_nan=True)))


def _problems(found: Mapping[str, Any], settings: Any, scoring: Any) -> Any:
    """What of it is not as it must be."""
    for way in ("fp32", "fp16"):
        kernels = found["kernels"][way]
        for place, ran in kernels.items():
            if place != found["provider"] and ran["heavy"]:
                yield f"{way}: {', '.join(ran['heavy'])} ran through {place}, expected {found['provider']}"
        if found["provider"] not in kernels:
            yield f"{way}: no kernel ran through {found['provider']}"
    values = {way: each["value"] for way, each in found["quality"].items()}
    loss = values["fp32 CPU"] - values["fp16"]
    loss = loss if scoring.BETTER == "higher" else -loss
    if loss > settings.quantize.max_loss:
        yield f"fp16 loses {loss:.4g} {scoring.MAIN}, quantize.max_loss allows {settings.quantize.max_loss}"


if __name__ == "__main__":
    step.main({"onnx": measure})
