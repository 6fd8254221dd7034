"""A GPU against the CPU of the same machine, after `make repro`: `python -m benchmarks.gpu TASK [--variant base]`.

training    steps a second of the task's model on the first batches of the augmented train split, which lie in memory:
            forward, backward and AdamW, in fp32 on both and in bf16 on the GPU
inference   models/TASK/VARIANT/fp32 and its fp16 (made here) through ONNX Runtime, from raw input to result: median
            milliseconds at batch 1 and 8 on the validation split

Both are compared in the same go, with all cores. Needs requirements/train.lock; without a usable GPU it says why.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device

from core import gpu, onnx_session, params, paths, task
from core.gpu import driver
from evaluation import latency, timing
from training import hardware

BATCHES, WARMUP_STEPS = 8, 5
ROUNDS, PATIENCE_S = 60, 20.0


def steps_per_second(role: Any, model: torch.nn.Module, batches: list[Any], settings: Any, kind: str, n: int) -> float:
    """kind: device, and precision after a dash if it is not fp32; n: steps that are timed."""
    device, _, half = kind.partition("-")
    net = copy.deepcopy(model).to(device).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-5)
    here = [move_data_to_device(batch, torch.device(device)) for batch in batches]
    start = 0.0
    for step, batch in enumerate(itertools.islice(itertools.cycle(here), WARMUP_STEPS + n)):
        if step == WARMUP_STEPS:
            _wait(device)
            start = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=bool(half)):
            loss = role.loss(net, batch, settings)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    _wait(device)
    return n / (time.perf_counter() - start)


def _wait(device: str) -> None:
    if device == "cuda":  # kernels are only queued
        torch.cuda.synchronize()


def training(name: str, settings: Any, seed: int, kinds: dict[str, int]) -> Iterator[str]:
    """kinds: see `steps_per_second`, with the steps of each."""
    role = task.load(name, "model")
    augmented = paths.augmented(name) / "dataset"
    loaders = task.load(name, "data").loaders(paths.clean(name), augmented, settings, seed, None)
    model = role.build(role.architecture(settings, loaders.assets), initial=True)
    batches = list(itertools.islice(loaders.train, BATCHES))
    speeds = {kind: steps_per_second(role, model, batches, settings, kind, n) for kind, n in kinds.items()}
    for kind, speed in speeds.items():
        yield f"training   {kind:<18}{speed:10.2f} steps/s   {speed / speeds['cpu']:7.1f} times the CPU"


def inference(name: str, variant: str, settings: Any, seed: int, wanted: list[tuple[str, str]]) -> Iterator[str]:
    """wanted: precisions with ONNX Runtime's providers, the first of which the others are compared with."""
    role, dataset = task.load(name, "predict"), paths.clean(name)
    folders = {"fp32": paths.model(name, variant, "fp32")}
    inputs = role.inputs(dataset, "val")
    with tempfile.TemporaryDirectory(prefix="stillhouse-benchmark-") as made:
        folders["fp16"] = Path(made)
        task.load(name, "quantize").quantize(folders["fp32"], folders["fp16"], "fp16", dataset, settings, seed)
        onnx_session.seal(folders["fp16"])
        predictors = {f"{p} {provider}": role.Predictor(folders[p], provider=provider) for p, provider in wanted}
        found = [latency.measure(predictors, inputs, size, ROUNDS, PATIENCE_S, seed) for size in latency.BATCHES]
    for kind in predictors:
        one, eight = (1000 * float(np.median(seconds[kind])) for seconds in found)
        ratios = (timing.ratio(next(iter(seconds.values())), seconds[kind]) for seconds in found)
        times = " and ".join(f"{ratio.value:.1f}" for ratio in ratios)
        yield f"inference  {kind:<28}{one:9.2f} ms, {eight:9.2f} ms for 8   {times} times the CPU's fp32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=task.names())
    parser.add_argument("--variant", default="base")
    given = parser.parse_args()
    if problems := [*gpu.of_onnxruntime(), *hardware.obstacles()]:
        sys.exit("no GPU to measure:\n" + "\n".join(f"  - {problem}" for problem in dict.fromkeys(problems)))
    folder = paths.model(given.task, given.variant, "fp32")
    if not folder.exists():
        sys.exit(f"{folder} is not there; run `make repro` first")
    head, sections = params.load()
    found, cores = driver.read(), len(os.sched_getaffinity(0))
    print(
        f"{found.gpus[0].name}, driver {found.version}; {platform.machine()}, {cores} cores, torch {torch.__version__}"
    )
    settings = sections[given.task]
    for line in training(given.task, settings, head.seed, {"cpu": 20, "cuda": 200, "cuda-bf16": 200}):
        print(line, flush=True)
    wanted = [("fp32", gpu.CPU), ("fp32", gpu.CUDA), ("fp16", gpu.CUDA)]
    for line in inference(given.task, given.variant, settings, head.seed, wanted):
        print(line, flush=True)


if __name__ == "__main__":
    main()
