"""The inputs of the test split on which two models differ most, shown side by side by the task's own `show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core import paths, task
from core.better import Better
from core.files import read_json, read_jsonl
from evaluation import lost

EACH = 3
"""Examples of losses, and of gains, at most."""


def compare(name: str, pairs: Mapping[str, tuple[str, str]], better: Better, folder: Path) -> dict[str, Any]:
    """Compare two evaluations of a task, and write examples into `folder`.

    pairs: name of a model -> its variant and precision; the reference first, then the one that is shown.
    Returns: `parts` (`lost.parts`), the numbers of inputs `worse`, `better` and `compared`, `captions` of the examples
    (the metric of the input, of both), and `pictures`: for each example that has some, a file for each model. A task
    that writes HTML leaves `examples.html` in `folder`; one without `show` has no examples.
    """
    evaluations = [paths.evaluation(name, *pair) for pair in pairs.values()]
    parts, shown_parts = (read_json(place / "metrics.json")["tables"].get("parts", []) for place in evaluations)
    scored = [read_json(place / "each.json") for place in evaluations]
    flips = lost.flips(scored[0], scored[1], better)
    chosen = [*flips.worse[:EACH], *flips.better[:EACH]]
    values = [dict(zip(one["positions"], one["values"], strict=True)) for one in scored]
    found: dict[str, Any] = {
        "models": list(pairs),
        "parts": lost.parts(parts, shown_parts, better),
        "worse": len(flips.worse),
        "better": len(flips.better),
        "compared": flips.compared,
        "captions": [f"{values[0][position]:.3g} → {values[1][position]:.3g}" for position in chosen],
        "pictures": [],
    }
    if chosen and task.has(name, "show"):
        predictions = {}
        for model, place in zip(pairs, evaluations, strict=True):
            rows = read_jsonl(place / "predictions.jsonl")
            predictions[model] = [rows[position] for position in chosen]
        found["pictures"] = _show(name, chosen, predictions, folder)
    return found


def _show(name: str, chosen: Sequence[int], predictions: Mapping[str, Sequence[Any]], folder: Path) -> list[list[Path]]:
    role, dataset = task.load(name, "show"), paths.clean(name)
    inputs = task.load(name, "predict").inputs(dataset, "test")
    references = task.load(name, "score").references(dataset, "test")
    own = [[values[position] for position in chosen] for values in (inputs, references)]
    if hasattr(role, "compared"):
        folder.mkdir()
        role.compared(*own, predictions, folder)
        return []
    made = []
    for number, model in enumerate(predictions):
        role.show(own[0], predictions[model], own[1], folder / str(number))
        made.append(sorted((folder / str(number)).glob("*.png")))
    return [list(pictures) for pictures in zip(*made, strict=True)]
