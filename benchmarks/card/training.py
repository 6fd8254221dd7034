"""How fast a preset's base is trained, by the stage and by a bare loop, and what the card can do at most.

Shapes: a step is one batch; `inputs` and `units` (images, or subwords of the target with EOS) are means over batches.
"""

from __future__ import annotations

import itertools
import shutil
import time
from typing import Any

import torch

from benchmarks import gpu
from benchmarks.card import step
from benchmarks.card.subjects import Subject
from core import matrix, params, paths, stage, task
from core.files import read_json
from modalities.text.inputs.tokenizer import PAD
from ops import tracking
from stages.train import train
from training import hardware

COUNTED = 64
"""Batches over which inputs and units of one are averaged."""
FLOPS_A_MAC = 2 * 3
"""Of training: a multiply and an add, forward and twice as many backward (Kaplan et al. 2020, section 2.1)."""
SIDE, SIDE_CPU, PRODUCTS = 8192, 512, 20


class Clock(tracking.Nowhere):
    """In the place of a spool: keeps when a step of training was told of."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, float]] = []
        self.seconds = 0.0

    def write(self, kind: str, **values: Any) -> None:
        if kind == "metrics" and "train/loss" in values["values"]:
            self.steps.append((values["step"], time.perf_counter()))
        if kind == "metrics" and "seconds" in values["values"]:
            self.seconds = values["values"]["seconds"]


def limit(_: Subject | None, cpu: bool) -> dict[str, Any]:
    """TFLOP/s of square matrix products, which training cannot exceed."""
    device, side = ("cpu", SIDE_CPU) if cpu else ("cuda", SIDE)
    found = {}
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
        for _warm in range(3):
            a @ b
        _wait(device)
        start = time.perf_counter()
        for _timed in range(PRODUCTS):
            a @ b
        _wait(device)
        found[name] = PRODUCTS * 2 * side**3 / (time.perf_counter() - start) / 1e12
    return {"tflops": found, "side": side}


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def stage_speed(subject: Subject | None, cpu: bool) -> dict[str, Any]:
    """The stage `train` as it is; its steady speed is that between the first and the last step that it tells of."""
    assert subject is not None
    head, tasks = params.load()
    clock, out = Clock(), paths.checkpoint(subject.task, "base")
    for old in (out, paths.resume(f"train@{subject.task}")):
        shutil.rmtree(old, ignore_errors=True)
    out.mkdir(parents=True)
    settings = tasks[subject.task]
    train(stage.Context("train", subject.task, None, None, head, settings, out, tracking.Run(clock)))
    result = read_json(out / "result.json")
    (first, began), (last, ended) = clock.steps[0], clock.steps[-1]
    steady = (last - first) / (ended - began) if last > first else result["steps"] / clock.seconds
    return {
        **{key: result[key] for key in ("epochs", "steps", "parameters", "macs", "best")},
        "precision": hardware.precision(settings.train.precision),
        "seconds": clock.seconds,
        "steps_per_s": steady,
        **({} if cpu else {"memory_gib": torch.cuda.max_memory_allocated() / 2**30}),
        **_rates(subject, steady, result["macs"], _batches(subject, COUNTED)[1]),
    }


def loop_speed(subject: Subject | None, cpu: bool) -> dict[str, Any]:
    """Forward, backward and AdamW alone, on a few batches that lie where they are computed."""
    assert subject is not None
    head, tasks = params.load()
    settings, role = tasks[subject.task], task.load(subject.task, "model")
    hardware.prepare(head.learning_threads, head.seed)
    assets, batches = _batches(subject, gpu.BATCHES)
    model = role.build(role.architecture(settings, assets), initial=True)
    half = "-bf16" if hardware.precision(settings.train.precision) == "bf16-mixed" else ""
    kind, steps = ("cpu" if cpu else "cuda") + half, 4 if cpu else 100
    speed = gpu.steps_per_second(role, model, batches, settings, kind, steps)
    macs = read_json(paths.checkpoint(subject.task, "base") / "result.json")["macs"]
    return {"kind": kind, "steps_per_s": speed, **_rates(subject, speed, macs, batches)}


def _batches(subject: Subject, count: int) -> tuple[dict[str, bytes], list[Any]]:
    """What travels with the model, and the first batches of training."""
    head, tasks = params.load()
    settings = tasks[subject.task]
    learnt = paths.trained_on(subject.task, matrix.augments(settings))
    loaders = task.load(subject.task, "data").loaders(paths.clean(subject.task), learnt, settings, head.seed, None)
    return loaders.assets, list(itertools.islice(loaders.train, count))


def _rates(subject: Subject, steps_per_s: float, macs: int, batches: list[Any]) -> dict[str, float]:
    """Units and TFLOP a second. macs: multiply-adds of one input, forward."""
    key = "images" if subject.unit == "images" else "target"
    inputs = sum(len(batch[key]) for batch in batches) / len(batches)
    tokens = sum(int((batch[key][:, 1:] != PAD).sum()) for batch in batches) / len(batches) if key == "target" else 0.0
    return {
        f"{subject.unit}_per_s": steps_per_s * (tokens or inputs),
        "tflops": FLOPS_A_MAC * macs * inputs * steps_per_s / 1e12,
    }


if __name__ == "__main__":
    step.main({"limit": limit, "train": stage_speed, "loop": loop_speed})
