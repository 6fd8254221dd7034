"""Scores of a model on a split, with 95 % bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation import bootstrap
from evaluation.bootstrap import Weighted

BATCH = 8


@dataclass(frozen=True)
class Scored:
    """What a model did on a split. All lists are in the order of the split."""

    inputs: list[Any]
    references: list[Any]
    predictions: list[Any]
    """Of the model as it ships."""
    scores: dict[str, Any]
    """As the task's `score` returns them, with `intervals` (metric -> [low, high]) and `inputs` (their number)."""
    drawn: dict[str, list[float]]
    """Metric of the model as it ships -> its values on the bootstrap's resamples, the same ones for every model."""
    weighted: Weighted
    """The metrics of the model as it ships, when each input counts so many times."""


def score(
    role: Any,
    scoring: Any,
    predictors: Mapping[str, Any],
    dataset: Path,
    split: str,
    params: Any,
    seed: int,
) -> Scored:
    """Predict a split with each of `predictors` and score it.

    role, scoring: the task's `predict` and `score`; predictors: by prefix of their metrics; "" is how the model ships
    and comes first.
    """
    inputs, references = role.inputs(dataset, split), scoring.references(dataset, split)
    shipped: list[Any] = []
    scores: dict[str, Any] = {}
    kept: list[Any] = []
    intervals: dict[str, Any] = {}
    for mode, predictor in predictors.items():
        predictions = predict(predictor, inputs)
        scored, weighted = judged(scoring, predictions, references, params)
        blocks = bootstrap.blocks(scoring, references)
        drawn = bootstrap.draw(weighted, len(references), params.evaluate.bootstrap, seed, blocks)
        prefix = f"{mode}_" if mode else ""
        intervals |= {prefix + name: list(bound) for name, bound in bootstrap.intervals(drawn).items()}
        if mode:
            scores["metrics"] |= {prefix + name: value for name, value in scored["metrics"].items()}
        else:
            scores, shipped, kept = scored, predictions, [drawn, weighted]
    return Scored(inputs, references, shipped, {**scores, "intervals": intervals, "inputs": len(inputs)}, *kept)


def judged(
    scoring: Any, predictions: Sequence[Any], references: Sequence[Any], params: Any
) -> tuple[dict[str, Any], Weighted]:
    """What `score` and `weighted` of a task give; in one, where it can."""
    if hasattr(scoring, "judge"):
        both: tuple[dict[str, Any], Weighted] = scoring.judge(predictions, references, params)
        return both
    return scoring.score(predictions, references, params), scoring.weighted(predictions, references, params)


def predict(predictor: Any, inputs: Sequence[Any]) -> list[Any]:
    """Predictions of all inputs, in batches."""
    return [result for first in range(0, len(inputs), BATCH) for result in predictor(inputs[first : first + BATCH])]
