"""One trial: run the pipeline for a variant, stop where it is hopeless, and tell what it found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import better, chains, paths
from core.files import read_json
from core.params import TaskParams
from pipelines.search.workspace import Workspace

HOPELESS = 3.0
"""Times `compare.budget.max_loss` that a model may lose before it is not even timed."""


class HopelessError(Exception):
    """Why a trial was stopped early."""


class FailedError(Exception):
    """Why a trial has no result."""


def run(
    workspace: Workspace, task: str, params: TaskParams, variant: str, number: str, log: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two rows of `comparison.json`: that of the trial, and that of the base. Each is, of its precisions, the fastest
    of those that keep every limit of the budget, or of all where none does.

    workspace: with the trial's `params.yaml`. Raises: HopelessError, FailedError.
    """
    name = f"search_{task}_{number}"
    cheapest = params.precisions[-1]
    targets = [(chains.ROOT, params.precisions[0]), (variant, cheapest)]
    for target in targets:
        _repro(workspace, f"evaluate@{task}-{'-'.join(target)}", name, log)
    reference, found = (_scores(workspace, task, *target) for target in targets)
    loss = better.loss(_main(found), _main(reference), found["better"])
    budget = params.compare.budget
    if not loss <= HOPELESS * budget.max_loss:
        raise HopelessError(f"{variant} {cheapest} loses {loss:.3g}, more than {HOPELESS:g} times max_loss")
    if found["size_mb"] > budget.max_mb:
        raise HopelessError(f"{variant} {cheapest} has {found['size_mb']:.2f} MB, more than max_mb")
    _repro(workspace, f"compare@{task}", name, log)
    comparison = read_json(workspace.folder / paths.report(task) / "comparison.json")
    ours, base = (
        best([row for row in comparison["rows"] if row["variant"] == name]) for name in (variant, chains.ROOT)
    )
    return ours, base


def best(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The fastest that keeps every limit; of rows that miss some, the fastest."""
    return max(rows, key=lambda row: (not row["misses"], row["speed"]["value"]))


def excess(row: dict[str, Any], params: TaskParams) -> list[float]:
    """How far beyond each limit of the budget a row is, in units of the limit; at most 0 where it keeps it."""
    budget = params.compare.budget
    return [
        (row["loss"]["bound"] - budget.max_loss) / max(budget.max_loss, 1e-9),
        row["size_mb"] / budget.max_mb - 1,
        row["latency_ms"] / budget.max_ms - 1,
    ]


def _repro(workspace: Workspace, target: str, name: str, log: Path) -> None:
    if not workspace.repro(target, name, log):
        raise FailedError(f"{target} failed; {log} says why")


def _scores(workspace: Workspace, task: str, variant: str, precision: str) -> dict[str, Any]:
    scores: dict[str, Any] = read_json(workspace.folder / paths.evaluation(task, variant, precision) / "metrics.json")
    return scores


def _main(scores: dict[str, Any]) -> float:
    return float(scores["val"]["metrics"][scores["main"]])
