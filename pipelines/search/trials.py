"""One trial: run the pipeline for a variant, stop where it is hopeless, and tell what it found."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from core import better, chains, matrix, paths
from core.files import read_json
from core.params import TaskParams
from evaluation import judged
from pipelines.search.workspace import Workspace

HOPELESS = 3.0
"""Times `compare.budget.max_loss` that a model may lose before it is not even timed."""
_REFERENCE = threading.Lock()
WORST = 1e9
"""What counts for a loss that is no number."""


class HopelessError(Exception):
    """Why a trial was stopped early; `excess` as the function gives it."""

    def __init__(self, told: str, excess: dict[str, float]) -> None:
        super().__init__(told)
        self.excess = excess


class FailedError(Exception):
    """Why a trial has no result."""


def run(
    workspace: Workspace, params: TaskParams, variant: str, number: str, log: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two rows of `comparison.json`: that of the trial, and that of the base. Each is, of its precisions, the fastest
    of those that keep every limit of the budget, or of all where none does.

    workspace: with the trial's `params.yaml`. params: the task's, of the trial. Raises: HopelessError, FailedError,
    StoppedError.
    """
    task = workspace.task
    name = f"search_{task}_{number}"
    with _REFERENCE:  # trials at once would each train the base
        _repro(workspace, evaluation(task, chains.ROOT, params.precisions[0]), name, log)
    reference = _scores(workspace, chains.ROOT, params.precisions[0])
    if workspace.share:  # one stage at a time: who wants to time waits for the one that runs
        for made in chains.ancestry(params, variant)[1:]:
            _repro(workspace, f"{'prune' if made in matrix.pruned(params) else 'distill'}@{task}-{made}", name, log)
    hopes = []
    for precision in reversed(params.precisions):  # the cheapest ones are named last
        _repro(workspace, evaluation(task, variant, precision), name, log)
        hopes.append(hope(_scores(workspace, variant, precision), reference, params))
        if max(hopes[-1].values()) <= 0:
            break
    else:
        least = min(hopes, key=lambda each: max(each.values()))
        limits = " and ".join(limit for limit, beyond in least.items() if beyond > 0)
        raise HopelessError(f"no precision of it is near {limits}", least)
    if workspace.share:
        pairs = product(matrix.variants(params), params.precisions)
        _repro(workspace, [evaluation(task, *pair) for pair in pairs], name, log)
        _repro(workspace, f"latency@{task}", name, log, alone=True)
    _repro(workspace, f"compare@{task}", name, log, alone=not workspace.share)
    comparison = read_json(workspace.folder / paths.report(task) / "comparison.json")
    rows = [row | {"better": comparison["better"]} for row in comparison["rows"]]
    ours, base = (best([row for row in rows if row["variant"] == one]) for one in (variant, chains.ROOT))
    return ours, base


def hope(scores: dict[str, Any], reference: dict[str, Any], params: TaskParams) -> dict[str, float]:
    """How far beyond what may still be of use a model is that was not timed, by limit; at most 0 where it may be."""
    budget = params.compare.budget
    loss = better.loss(_main(scores), _main(reference), scores["better"])
    beyond = loss / max(HOPELESS * budget.max_loss, 1e-9) - 1
    return {"max_loss": beyond if math.isfinite(beyond) else WORST, "max_mb": scores["size_mb"] / budget.max_mb - 1}


def best(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The fastest that keeps every limit; of rows that miss some, the fastest."""
    return max(rows, key=lambda row: (not row["misses"], judged.speed(row)["value"]))


def excess(row: dict[str, Any], params: TaskParams) -> dict[str, float]:
    """How far beyond each limit of the budget a row is, as a share of the limit; at most 0 where it keeps it."""
    budget, limit = params.compare.budget, params.compare.budget.worst_quality
    return {
        "max_loss": (row["loss"]["bound"] - budget.max_loss) / max(budget.max_loss, 1e-9),
        "max_mb": row["size_mb"] / budget.max_mb - 1,
        "max_ms": judged.at_most_ms(row) / budget.max_ms - 1,
        "worst_quality": better.loss(row["quality"], limit, row["better"]) / max(abs(limit), 1e-9),
    }


def evaluation(task: str, variant: str, precision: str) -> str:
    """The stage's name."""
    return f"evaluate@{task}-{variant}-{precision}"


def _repro(workspace: Workspace, target: str | Sequence[str], name: str, log: Path, alone: bool = False) -> None:
    targets = [target] if isinstance(target, str) else list(target)
    if not workspace.repro(targets, name, log, alone):
        raise FailedError(f"{' or '.join(targets)} failed; {log} says why")


def _scores(workspace: Workspace, variant: str, precision: str) -> dict[str, Any]:
    scores: dict[str, Any] = read_json(
        workspace.folder / paths.evaluation(workspace.task, variant, precision) / "metrics.json"
    )
    return scores


def _main(scores: dict[str, Any]) -> float:
    return float(scores["val"]["metrics"][scores["main"]])
