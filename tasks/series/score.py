"""Role `score` of series: errors of forecasts, beside those of the naive ones; of labels the share that is wrong.

Every forecast is held against two that know the past alone: the newest value, and the newest season again. MASE is in
units of the seasonal naive forecast's error in train (Hyndman and Koehler 2006, equation 3), sMAPE is 200 |y - f| /
(|y| + |f|) (Makridakis 1993), `pinball` the mean over the quantiles (Koenker and Bassett 1978), `coverage` the share of
values between the outer ones, `mse_scaled` in variances of train. Windows overlap: the bootstrap draws blocks of them.

A wrong label is an error of 1, so of labels MAIN is the share of wrong ones; `whole` is that of windows without any.

Shapes: N windows, H horizon, V targets, Q quantiles, S steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.series.inputs.windows import Windows
from modalities.series.score import naive

MAIN, TITLE, BETTER = "mae", "MAE", "lower"
STEPS = 12
"""Steps of the horizon that have a metric each, evenly spread; the table `parts` has all."""
Array = NDArray[np.float64]
Weighted = Callable[[Array], dict[str, float]]


def references(dataset: Path, split: str) -> list[dict[str, Any]]:
    """Of each window what came before, and what was to be told."""
    windows = Windows(dataset, split)
    origins = [windows.origin(i) for i in range(len(windows))]
    if windows.layout.kind == "label":
        return [{"name": name, "block": i, "labels": windows.classes(i)} for i, (name, _) in enumerate(origins)]
    units, spread = naive.units(dataset)
    return [
        {
            "name": name,
            "block": origin // windows.layout.horizon,
            "past": windows.past(i),
            "future": windows.future(i),
            "unit": units.get(name, units[""]),
            "spread": spread,
        }
        for i, (name, origin) in enumerate(origins)
    ]


def blocks(references: Sequence[Any]) -> NDArray[np.int64]:
    """(N,) which windows are drawn together: those of all series that begin within one horizon, and so overlap."""
    return np.array([reference["block"] for reference in references], np.int64)


def score(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> dict[str, Any]:
    """See `judge`."""
    return judge(predictions, references, params)[0]


def judge(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> tuple[dict[str, Any], Weighted]:
    """The metrics of `weighted`, of single steps of the horizon, and the table `parts`, MAIN by step and series."""
    figures = _figures(predictions, references, params)
    error = figures["mae"]
    names = np.array([reference["name"] for reference in references])
    steps = np.arange(error.shape[1]) if len(references) else np.arange(0)
    parts = [("step", f"{step + 1}", error[:, step]) for step in steps]
    parts += [("part", name or "all", error[names == name].mean(1)) for name in dict.fromkeys(names.tolist())][:100]
    rows = [{"kind": kind, "name": name, "count": len(of), "value": float(of.mean())} for kind, name, of in parts]
    if params.data.goal == "forecast" and len(references):
        chosen = np.unique(np.linspace(0, len(steps) - 1, STEPS).round().astype(int)).tolist()
        figures |= {f"mae_step_{step + 1}": error[:, step] for step in chosen}
    how = f"naive, mase: season {params.data.season}|blocks of {params.data.horizon}"
    kind = how if params.data.goal == "forecast" else "share of wrong labels"
    metrics = _weighted(figures, params)(np.ones(len(references)))
    told = {"metrics": metrics, "signature": f"mae|{kind}|numpy:{np.__version__}", "tables": {"parts": rows}}
    return told, _weighted(figures, params)


def weighted(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> Weighted:
    """The metrics when each window counts so many times, those of single steps left out."""
    return _weighted(_figures(predictions, references, params), params)


def _weighted(figures: dict[str, Array], params: Any) -> Weighted:
    means = {name: each.reshape(len(each), -1).mean(1) if len(each) else each for name, each in figures.items()}

    def metrics(weights: Array) -> dict[str, float]:
        total = max(float(weights.sum()), 1e-12)
        found = {name: float(weights @ each) / total for name, each in means.items()}
        if params.data.goal == "label":
            return found | {"accuracy": 1 - found["mae"]}
        for name in ("naive", "seasonal"):
            found[f"skill_{name}"] = 1 - found["mae"] / max(found[f"mae_{name}"], 1e-12)
        return found | {"rmse": found.pop("squares") ** 0.5}

    return metrics


def _figures(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> dict[str, Array]:
    """(N, H, V) or (N,) of each window."""
    if not references:
        return dict.fromkeys(("mae", "whole", "squares", "mae_naive", "mae_seasonal"), np.zeros((0,)))
    if params.data.goal == "label":
        said = np.array([prediction["probabilities"] for prediction in predictions]).argmax(-1)
        wrong = (said != _stacked(references, "labels")).astype(float)
        return {"mae": wrong, "whole": (wrong.sum(1) == 0).astype(float)}
    levels = np.array(params.model.quantiles)
    quantiles = np.array([prediction["quantiles"] for prediction in predictions], np.float64)
    true, middle = _stacked(references, "future"), quantiles[..., params.model.quantiles.index(0.5)]
    error, miss = np.abs(middle - true), true[..., None] - quantiles
    inside = (quantiles.min(-1) <= true) & (true <= quantiles.max(-1))
    past = _stacked(references, "past")
    period = min(params.data.season, past.shape[1])
    return {
        "mae": error,
        "squares": error**2,
        "mase": error / _stacked(references, "unit")[:, None],
        "smape": 200 * error / np.maximum(np.abs(true) + np.abs(middle), 1e-12),
        "pinball": np.maximum(levels * miss, (levels - 1) * miss).mean(-1),
        "coverage": inside.astype(float),
        "mse_scaled": (error / _stacked(references, "spread")[:, None]) ** 2,
        "mae_naive": np.abs(past[:, -1:] - true),
        "mae_seasonal": np.abs(past[:, np.arange(true.shape[1]) % period - period] - true),
    }


def _stacked(references: Sequence[Any], key: str) -> Array:
    return np.stack([reference[key] for reference in references]).astype(np.float64)
