"""Where a model's time goes: by operator, as ONNX Runtime's own profiler tells it of every kernel that it ran.

https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html. Operators have the names of the optimised
graph, after fusion, so one sees which ones a precision has changed and which it has left alone.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from core import onnx_session
from core.files import read_json
from evaluation import latency

CALLS = 20
OUTSIDE = "outside of the graph"
"""Reading and scaling of inputs, search, tables: what is neither in a kernel nor in a graph."""
KERNEL = "_kernel_time"


def profile(load: Callable[[], latency.Predict], inputs: Sequence[Any]) -> dict[str, float]:
    """Milliseconds of one call at batch 1 by operator, the longest first. load: opens the model, here and now."""
    with tempfile.TemporaryDirectory(prefix="stillhouse-") as scratch:
        with onnx_session.profiled(Path(scratch)):
            predict = load()
        for number in range(CALLS):
            predict(latency.batch(inputs, 1, number))
        del predict  # its sessions write when they are gone
        files = sorted(Path(scratch).glob("*.json"))
        return by_operator((event for path in files for event in _kernels(path)), CALLS)


def by_operator(kernels: Iterable[tuple[str, str, float]], calls: int) -> dict[str, float]:
    """kernels: node, operator and microseconds of every run of one. Returns: as `profile`.

    The first runs of a kernel reserve memory, so each node counts as often as it ran, with its median.
    """
    runs: dict[tuple[str, str], list[float]] = defaultdict(list)
    for node, operator, taken in kernels:
        runs[node, operator].append(taken)
    found: dict[str, float] = defaultdict(float)
    for (_, operator), each in runs.items():
        found[operator] += median(each) * len(each) / calls / 1000
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _kernels(path: Path) -> Iterable[tuple[str, str, float]]:
    for event in read_json(path):
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL):
            yield f"{path.name}:{event['name']}", event["args"]["op_name"], float(event["dur"])


def table(profiles: dict[str, dict[str, float]], latencies: dict[str, float], most: int = 10) -> list[dict[str, Any]]:
    """Lines for people: `operator`, and of each model its milliseconds, of the operators that take longest in any.

    latencies: milliseconds of a call, of each model; what is no operator's is `OUTSIDE`.
    """
    whole = {
        name: times | {OUTSIDE: max(0.0, latencies[name] - sum(times.values()))} for name, times in profiles.items()
    }
    longest = {key: max(times.get(key, 0.0) for times in whole.values()) for times in whole.values() for key in times}
    ordered = sorted(longest, key=lambda key: -longest[key])
    lines = [
        {"operator": key, **{name: times.get(key, 0.0) for name, times in whole.items()}} for key in ordered[:most]
    ]
    rest = ordered[most:]
    if rest:
        lines.append(
            {"operator": f"{len(rest)} others"}
            | {name: sum(times.get(key, 0.0) for key in rest) for name, times in whole.items()}
        )
    return lines
