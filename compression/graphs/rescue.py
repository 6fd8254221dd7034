"""What is tried when int8 loses more than it should: equalised channels and other calibration first, then float for the
layers that lose most.

Every attempt is judged by the task's metric on `val`; which layers are tried is told by `sensitivity`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compression.graphs.layers import Layer
from compression.graphs.sensitivity import Finding, Floats
from core.errors import ModelError

MOST = 0.5
"""Share of the layers that stay in float at most: with more, fp32 is the honest choice."""

CLEARLY = 0.8
"""Share of the first loss below which another way is one to go on from."""


@dataclass(frozen=True)
class Attempt:
    """One way to quantize, and what it loses."""

    how: str
    params: Any
    """What it is made by."""
    kept: tuple[Finding, ...]
    """Layers in float."""
    folder: Path
    notes: dict[str, Any]
    before: float
    """The metric of fp32."""
    after: float
    loss: float
    """In units of the metric; positive when it is worse, nan when one of the two is."""
    mb: float


Make = Callable[[str, Any, tuple[Finding, ...]], Attempt]


def attempts(
    make: Make,
    params: Any,
    aim: float | None,
    others: Iterable[tuple[str, Any]],
    find: Callable[[Attempt], Sequence[Finding]],
) -> list[Attempt]:
    """As params say, and where that loses more than `aim`, what helps against it, until one attempt does not.

    make: quantizes and measures; aim: None: the first attempt is all; others: other ways, in words and
    as params, asked for one by one; find: the layers of an attempt, those that lose most first.
    """
    tried = [make("as params.yaml says", params, ())]
    if aim is None or tried[0].loss <= aim:
        return tried
    # The first attempt may do, so an error of a later one ends the attempts, not the stage.
    with suppress(ModelError):
        for told, changed in others:
            tried.append(make(told, changed, ()))
            if tried[-1].loss <= aim:
                return tried
    with suppress(ModelError):
        _in_float(make, tried, aim, find)
    return tried


def _in_float(make: Make, tried: list[Attempt], aim: float, find: Callable[[Attempt], Sequence[Finding]]) -> None:
    """Add attempts with layers in float to what was tried."""
    start = min(tried, key=_lost)
    if not _lost(start) < CLEARLY * _lost(tried[0]):
        start = tried[0]
    findings = find(start)
    most = int(MOST * len(findings))
    low, high = 0, min(1, most)  # so many layers in float are too few; so many are tried
    while high > low:
        tried.append(_with(make, start, findings[:high]))
        if tried[-1].loss <= aim:
            break
        low, high = high, min(2 * high, most)
    else:
        return
    while high - low > 1:
        middle = (low + high) // 2
        tried.append(_with(make, start, findings[:middle]))
        low, high = (low, middle) if tried[-1].loss <= aim else (middle, high)


def best(tried: Sequence[Attempt], aim: float | None) -> Attempt:
    """Of those that lose at most `aim` the one with the fewest layers in float; else the one that loses least."""
    reached = [each for each in tried if aim is not None and each.loss <= aim]
    if reached:
        return min(reached, key=lambda each: len(each.kept))
    return min(tried, key=lambda each: (_lost(each), len(each.kept)))


def _lost(attempt: Attempt) -> float:
    return math.inf if math.isnan(attempt.loss) else attempt.loss


def story(tried: Sequence[Attempt], chosen: Attempt, aim: float, why: Callable[[Layer], str]) -> dict[str, Any]:
    """For `quantization.json` and the report: what was tried, and which layers stay in float, why, and at what cost."""
    return {
        "aim": aim,
        "tried": [
            {
                "how": each.how,
                "loss": each.loss if math.isfinite(each.loss) else None,
                "mb": each.mb,
                "chosen": each is chosen,
            }
            for each in tried
        ],
        "kept": [
            {
                "graph": found.layer.graph,
                "layer": found.layer.name,
                "nodes": list(found.layer.nodes),
                "noise": found.noise,
                "why": why(found.layer),
            }
            for found in chosen.kept
        ],
    }


def words(told: dict[str, Any]) -> str:
    """A `story` in one line."""
    first, chosen = told["tried"][0], next(each for each in told["tried"] if each["chosen"])
    if chosen is first:
        return f"nothing of {len(told['tried']) - 1} other ways lost less"
    layers = ", ".join(dict.fromkeys(each["layer"] for each in told["kept"]))
    cost = f"{_loss(chosen)}, {chosen['mb'] - first['mb']:+.2f} MB" + (f" ({layers})" if layers else "")
    return f"it lost {_loss(first)}, more than quantize.rescue, {told['aim']:g}, allows; {chosen['how']}: {cost}"


def _loss(each: dict[str, Any]) -> str:
    return "everything" if each["loss"] is None else f"{each['loss']:.3g}"


def advice(task: str, precision: str, tried: Sequence[Attempt]) -> str:
    """What to do about a collapse."""
    ways = "" if len(tried) == 1 else f"; {len(tried) - 1} other ways were tried, and none lost little enough"
    return (
        f"calibrate with more samples or another way ({task}.quantize), let a variant learn rounded "
        f"(quantization_aware), or take {precision} out of {task}.precisions{ways}"
    )


def floats(findings: Sequence[Finding]) -> Floats:
    """Nodes of these layers by graph."""
    nodes: dict[str, tuple[str, ...]] = {}
    for finding in findings:
        nodes[finding.layer.graph] = (*nodes.get(finding.layer.graph, ()), *finding.layer.nodes)
    return nodes


def _with(make: Make, start: Attempt, findings: Sequence[Finding]) -> Attempt:
    count = len(findings)
    return make(f"{start.how}, {count} {'layer' if count == 1 else 'layers'} in float", start.params, tuple(findings))
