"""Time all model folders of a task against each other: one after the other in every round, in random order.

What is measured is the call of the task's `Predictor`, from raw input to result, on inputs of `val`: at batch 1 and 8
on one thread, and at batch 1 with all cores, there one model at a time. The reference is `base` in the first of
`precisions`.

reads   models/<task>/, data/<task>/validated/dataset/
writes  timings/<task>/: timing.json, calls.json (seconds of each call, as the gate compares them)
run     python -m stages.latency detection
"""

from __future__ import annotations

import math
from functools import partial
from itertools import product
from typing import Any

from core import cpu, gpu, matrix, paths, stage, task
from core.files import write_json
from evaluation import latency, memory, operators, parts, timing, work
from evaluation.device import micro
from evaluation.timing import Seconds
from ops import tracking

MEMORY_INPUTS = 8
PARTS = 60
"""Calls that tell what of them is in the graphs."""
SHARE = 4
"""Batch 8, and all cores, get this part of the rounds."""


def measure(ctx: stage.Context) -> None:
    role, dataset = task.load(ctx.task, "predict"), paths.clean(ctx.task)
    folders = {
        f"{variant}-{precision}": (paths.model(ctx.task, variant, precision), gpu.provider(precision))
        for variant, precision in product(matrix.variants(ctx.params), ctx.params.precisions)
    }
    inputs = role.inputs(dataset, "val")
    rounds, patience = ctx.params.timing.rounds, ctx.params.timing.patience_s
    fewer = max(timing.BLOCKS, rounds // SHARE)

    def predictor(name: str, threads: int) -> Any:
        folder, provider = folders[name]
        return role.Predictor(folder, threads=threads, provider=provider)

    with tracking.silence():
        one = {name: predictor(name, 1) for name in folders}
        calls = {
            f"batch_{size}": latency.measure(one, inputs, size, rounds if size == 1 else fewer, patience, ctx.seed)
            for size in latency.BATCHES
        }
        del one
        if ctx.threads > 1:
            loaders = {name: partial(predictor, name, ctx.threads) for name in folders}
            alone = latency.measure_alone(loaders, inputs, 1, math.ceil(fewer / timing.BLOCKS), ctx.seed)
            calls["batch_1_all_cores"] = alone
    peaks = {
        name: memory.peak_mb(ctx.task, folder, dataset, MEMORY_INPUTS, 1, provider)
        for name, (folder, provider) in folders.items()
    }
    found = summary(calls, peaks, ctx.threads)
    found |= {"peak_gflops": work.peak(), "int8_instructions": cpu.int8_instructions(), "host_ms": micro.host()}
    with tracking.silence():
        for name in folders:
            load = partial(predictor, name, 1)
            runs = operators.profiled(load, inputs)
            found["candidates"][name] |= {
                "operators": operators.by_operator(runs, operators.CALLS),
                "kernels": operators.kernels(runs, operators.CALLS),
                "parts": parts.measure(load, inputs, PARTS),
            }
    write_json(ctx.out / "timing.json", found)
    kept = {way: {name: exact(seconds) for name, seconds in taken.items()} for way, taken in calls.items()}
    write_json(ctx.out / "calls.json", kept)
    tell(ctx, found)


def exact(seconds: Seconds) -> list[float]:
    """As exact as a clock is."""
    return [round(value, 7) for value in seconds.tolist()]


def summary(calls: dict[str, dict[str, Seconds]], peaks: dict[str, float], threads: int) -> dict[str, Any]:
    """Of each candidate its memory, and of each way to call it times, and speed against the reference."""
    reference = next(iter(peaks))
    candidates: dict[str, dict[str, Any]] = {name: {"memory_mb": peak} for name, peak in peaks.items()}
    for way, taken in calls.items():
        size = int(way.split("_")[1])
        for name, seconds in taken.items():
            speed = timing.ratio(taken[reference], seconds)
            candidates[name][way] = timing.summary(seconds, size) | {"speed": speed.as_json()}
    return {
        "reference": reference,
        "threads": threads,
        "rounds": {way: len(taken[reference]) for way, taken in calls.items()},
        "noisy": any(found["batch_1"]["speed"]["noisy"] for found in candidates.values()),
        "candidates": candidates,
    }


def tell(ctx: stage.Context, found: dict[str, Any]) -> None:
    for name, candidate in found["candidates"].items():
        one = candidate["batch_1"]
        figures = {"median_ms": one["median_ms"], "p99_ms": one["p99_ms"], "speed": one["speed"]["value"]}
        ctx.run.metrics({f"{name.replace('-', '_')}/{label}": value for label, value in figures.items()})
    ctx.run.tag("reference", found["reference"])
    best = max(found["candidates"], key=lambda name: float(found["candidates"][name]["batch_1"]["speed"]["value"]))
    speed = found["candidates"][best]["batch_1"]["speed"]
    print(
        f"{ctx.name}: {found['rounds']['batch_1']} rounds of {len(found['candidates'])} candidates; {best} is "
        f"{speed['value']:.2f} [{speed['low']:.2f}, {speed['high']:.2f}] times as fast as {found['reference']}"
    )
    if vague := [name for name, each in found["candidates"].items() if each["batch_1"]["speed"]["noisy"]]:
        print(
            f"  note: differences of 3 % do not show of {', '.join(vague)}: the machine did too much else meanwhile, "
            "or some inputs take such a model longer than others; more timing.rounds, or a quieter machine, tell more"
        )


if __name__ == "__main__":
    stage.main("latency", measure, paths.timing)
