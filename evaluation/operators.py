"""Where a model's time goes: by operator, as ONNX Runtime's own profiler tells it of every kernel that it ran.

https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html. Operators have the names of the optimised
graph, after fusion, so one sees which ones a precision has changed and which it has left alone.
"""

from __future__ import annotations

import math
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from core import kinds, onnx_session
from core.files import read_json
from evaluation import latency, work
from evaluation.device import nodes

CALLS = 20
OUTSIDE = "outside of the graph"
"""Reading and scaling of inputs, search, tables: what is neither in a kernel nor in a graph."""
KERNEL = "_kernel_time"
LOOP = "Loop"
"""Its time is that of the kernels in it, which are told as well."""
HALVES = 2
"""Sizes of kernels that are told apart, in an octave."""
NOTHING = {"ms": 0.0, "macs": 0.0, "bytes": 0.0}

Cost = dict[str, float]
"""Of one call: `ms`, `macs` (multiply-adds) and `bytes` that are read and written."""


class Run(NamedTuple):
    """One run of a kernel."""

    node: str
    operator: str
    microseconds: float
    macs: int = 0
    bytes: int = 0
    kind: str = kinds.UNKNOWN
    """Of `core.kinds`."""


def profile(load: Callable[[], latency.Predict], inputs: Sequence[Any]) -> dict[str, Cost]:
    """What one call at batch 1 costs by operator, the longest first. load: opens the model, here and now."""
    return by_operator(profiled(load, inputs), CALLS)


def profiled(load: Callable[[], latency.Predict], inputs: Sequence[Any]) -> list[Run]:
    """Runs of kernels in `CALLS` calls at batch 1, of all graphs of a model and as often as each was run."""
    with tempfile.TemporaryDirectory(prefix="stillhouse-") as scratch:
        with onnx_session.profiled(Path(scratch)):
            predict = load()
        for number in range(CALLS):
            predict(latency.batch(inputs, 1, number))
        del predict  # its sessions write when they are gone
        files = sorted(Path(scratch).glob("*.json"))
        return [run for path in files for run in _kernels(path)]


def by_operator(runs: Iterable[Run], calls: int) -> dict[str, Cost]:
    """As `profile`. The first runs of a kernel reserve memory, so each node counts as often as it ran, with its median
    time."""
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    found: dict[str, Cost] = defaultdict(lambda: dict(NOTHING))
    for run in runs:
        taken[run.node, run.operator].append(run.microseconds)
        found[run.operator]["macs"] += run.macs
        found[run.operator]["bytes"] += run.bytes
    for (_, operator), each in taken.items():
        found[operator]["ms"] += median(each) * len(each) / calls / 1000
    for cost in found.values():
        cost |= {what: cost[what] / calls for what in ("macs", "bytes")}
    return dict(sorted(found.items(), key=lambda item: -item[1]["ms"]))


def kernels(runs: Iterable[Run], calls: int) -> list[dict[str, Any]]:
    """What one call runs, for another machine: of kernels of one kind and about one size `runs`, the `macs` and `bytes`
    of each, and the `ms` of all of them here. About: within half an octave, or a decoder whose every step is longer
    would have thousands."""
    groups: dict[tuple[str, int, int], list[Run]] = defaultdict(list)
    for run in runs:
        macs, moved = (round(HALVES * math.log2(1 + size)) for size in (run.macs, run.bytes))
        groups[run.kind, macs, moved].append(run)
    return [
        {
            "kind": key[0],
            "runs": len(each) / calls,
            **{what: sum(getattr(run, what) for run in each) / len(each) for what in ("macs", "bytes")},
            "ms": median(run.microseconds for run in each) * len(each) / calls / 1000,
        }
        for key, each in sorted(groups.items())
    ]


def _kernels(path: Path) -> Iterable[Run]:
    """path: `<graph>_<time>.json`, beside the optimised graph."""
    own = work.weights(onnx_session.optimized(path))
    for event in read_json(path):
        if event.get("cat") != "Node" or not event["name"].endswith(KERNEL):
            continue
        arguments, node = event["args"], event["name"].removesuffix(KERNEL)
        if arguments["op_name"] == LOOP:
            continue
        given, made = (
            [shape for tensor in arguments[side] for shape in tensor.values()]
            for side in ("input_type_shape", "output_type_shape")
        )
        operator, constants = arguments["op_name"], own.get(node, [])
        macs = work.macs(operator, given, made, constants)
        yield Run(
            f"{path.name}:{node}",
            operator,
            float(event["dur"]),
            macs,
            work.moved(operator, arguments, constants),
            nodes.kind(operator, work.integer(operator), macs, work.kernel(constants), work.packed(constants)),
        )


def table(
    profiles: Mapping[str, Mapping[str, Cost]],
    latencies: Mapping[str, float],
    peak: Mapping[str, float],
    most: int = 10,
) -> list[dict[str, Any]]:
    """Lines for people: `operator`, and of each model its cost, of the operators that take longest in any: `ms`,
    `gflops` (10^9 multiplications and additions a second) and its `share` of the peak, both None of what computes
    none, and `mb` that are read and written.

    latencies: milliseconds of a call, of each model; what is no operator's is `OUTSIDE`. peak: `work.peak`.
    """
    whole: dict[str, dict[str, Cost]] = {}
    for name, costs in profiles.items():
        inside = sum(cost["ms"] for cost in costs.values())
        whole[name] = {**costs, OUTSIDE: NOTHING | {"ms": max(0.0, latencies[name] - inside)}}
    names = {operator for costs in whole.values() for operator in costs}
    longest = {name: max(costs.get(name, NOTHING)["ms"] for costs in whole.values()) for name in names}
    ordered = sorted(longest, key=lambda name: (-longest[name], name))
    lines = [
        {"operator": key, **{name: _line(key, costs.get(key, NOTHING), peak) for name, costs in whole.items()}}
        for key in ordered[:most]
    ]
    rest = ordered[most:]
    if rest:
        others = {name: _others(costs, rest) for name, costs in whole.items()}
        lines.append({"operator": f"{len(rest)} others", **others})
    return lines


def _line(operator: str, cost: Cost, peak: Mapping[str, float]) -> dict[str, Any]:
    rate = 2 * cost["macs"] / (cost["ms"] * 1e6) if cost["macs"] and cost["ms"] else None
    reached = peak["int8" if work.integer(operator) else "fp32"]
    return {"ms": cost["ms"], "gflops": rate, "share": rate and rate / reached, "mb": cost["bytes"] / 1e6}


def _others(costs: Mapping[str, Cost], rest: Sequence[str]) -> dict[str, Any]:
    ms, moved = (sum(costs.get(key, NOTHING)[what] for key in rest) for what in ("ms", "bytes"))
    return {"ms": ms, "gflops": None, "share": None, "mb": moved / 1e6}


def untouched(reference: Mapping[str, Cost], shown: Mapping[str, Cost]) -> tuple[float, list[str]]:
    """Of the time in a model's kernels, the share of those that are as in the reference, and their names, the longest
    first: what another precision has not changed."""
    total = sum(cost["ms"] for cost in shown.values())
    alike = sorted((name for name in shown if name in reference), key=lambda name: -shown[name]["ms"])
    return sum(shown[name]["ms"] for name in alike) / total if total else 0.0, alike
