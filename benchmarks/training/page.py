"""`docs/training.md` from `measured/`, and what is told of formats and compiling beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.clones import ROOT
from benchmarks.training.run import MEASURED

PAGE = ROOT / "docs" / "training.md"
TASKS = ("detection", "translation", "classification")
HEADING = """\
# How fast it learns

Made by `python -m benchmarks.training table`; do not edit it.

## `precision: auto`

`precision` of a section `train` (the base's, and those of pruned and distilled variants) is `"32"`, `bf16`, `fp16`
(both mixed with 32) or `auto`. With `auto`, training starts with a measurement of at most 20 seconds: up to 15 steps
of each format, in turn, on copies of the network with the first batches and the task's own loss. Formats are 32 and
bf16 (fp16 on a GPU that has no bf16), and for pictures each with `channels_last` true and false. The one that
`params.yaml` has without `auto`, 32, stays unless another takes less than 0.97 of its time, by the median ratio of
steps in the same rounds.

The choice and its milliseconds stand in one line of the log, under `format` in the checkpoint's `result.json`, and
among the params of MLflow's run as `measured`. The weights are, byte for byte, those that the chosen values learn
when `params.yaml` names them. A training that is resumed keeps the format that it began with, and so do all processes
of several devices. With `strategy: fsdp` a format has to be named.

Another machine may choose otherwise, and so may the same one on a busy day: what is learnt differs then in its last
digits and a little in quality. So `params.yaml` and the presets name their formats. Measured on one thread of an EPYC
with avx512_bf16 and without AMX, of the sample's base models, milliseconds of forward and backward:

| | 32, channels last | 32, channels first | bf16, channels last | bf16, channels first |
|---|---|---|---|---|
| detection | 194 | 246 | **151** | 216 |
| classification | 57 | 81 | **39** | 52 |
| translation | 125 (no pictures) | | **79** | |

## `compile: true`

The network of the steps is compiled by torch.compile: pictures by their one size, sentences for many lengths. Names
of weights, the average of the weights, checkpoints and validation are of the network itself, so a killed training
resumes as any other, and what ships knows nothing of it. It needs a C++ compiler (on a GPU Triton); without one
training ends before it starts, with what to install. Compiled networks round otherwise and draw other numbers for
dropout, so they learn other weights. `precision: auto` measures the network as it is. Whether it pays, `python -m
benchmarks.training here TASK --compile` tells of a machine: its row `compile` is without the average. On the CPU of
the table below it does not pay for the sample's classifier: 1.06 of the bare loop's step, against 1.03 without it,
beside more than a minute of compiling. It is off by default, and there for GPUs, where it has not been measured.

## Beside a bare loop

`python -m benchmarks.training run TASK` lets the engine (Lightning, average of the weights, curves, checks, what is
tracked) and a loop of torch written by hand take each batch of the sample's training in turn, with equal networks,
random numbers, optimisers, clipping and rates; both end with the same weights to the bit, or the row says so. *Ratio*
is the engine's step over the bare one's, with its 95 % interval ([how](choice.md)). Times are CPU times of one
thread. Loading is in neither; checkpoints and validation come after an epoch and are not in it. What is left is
Lightning's own hooks, about a millisecond a step, and the average: of the detector's 319 tensors 1.1 ms, where
looking for them at each step and averaging one by one took 3.2.
"""
COLUMNS = ("task", "engine", "bare loop, ms", "engine, ms", "ratio", "weights")


def page(measured: Path = MEASURED) -> str:
    """The whole document; a task that was not measured says so."""
    paths = {task: measured / f"{task}.json" for task in TASKS}
    found = {task: json.loads(path.read_text(encoding="utf-8")) for task, path in paths.items() if path.exists()}
    rows = [_cells(task, row) for task in TASKS for row in found.get(task, {"rows": []})["rows"]]
    lines = [f"| {' | '.join(cells)} |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows)]
    places = [
        f"{task}: on {each['machine']}, {_counted(each['threads'])}, at commit `{each['commit'][:12]}`."
        for task, each in found.items()
    ]
    missing = [f"{task}: not measured." for task in TASKS if task not in found]
    return "\n".join([HEADING, *lines, "", *(f"- {text}" for text in (*places, *missing)), ""])


def _cells(task: str, row: dict[str, Any]) -> list[str]:
    ratio, ms = row["ratio"], row["step_ms"]
    return [
        task,
        row["way"],
        f"{ms['bare']:.1f}",
        f"{ms['engine']:.1f}",
        f"{ratio['value']:.3f} ({ratio['low']:.3f} – {ratio['high']:.3f})",
        "equal" if row["equal"] else "differ",
    ]


def _counted(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"
