"""Role `score` of series: errors of forecasts, beside those of the naive ones; of labels the share that is wrong.

Everything is held against two forecasts that know nothing but the past: the last value, and the last season again.
MASE is in units of the seasonal naive forecast's error in train (Hyndman and Koehler 2006, equation 3; the season may
be 1), sMAPE is 200 |y - f| / (|y| + |f|) (Makridakis 1993), `pinball` the mean over the quantiles (Koenker and Bassett
1978), `coverage` the share of values between the outer ones, `mse_scaled` in deviations of train. Windows overlap, and
days go together: the bootstrap draws blocks of them (`blocks`), not windows.

A wrong label is an error of 1, so of labels MAIN is the share of wrong ones; `whole` is that of windows without one.

Shapes: N windows, H horizon, V targets, Q quantiles, S steps, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.series.inputs.windows import PREFIX, Windows, layout, table

MAIN, TITLE, BETTER = "mae", "MAE", "lower"
STEPS = 12
"""Steps of the horizon of which metrics tell one by one, evenly spread; the table `parts` has all."""
Array = NDArray[np.float64]
Weighted = Callable[[Array], dict[str, float]]


def references(dataset: Path, split: str) -> list[dict[str, Any]]:
    """Of each window in order what was to be told, and what the naive forecasts say."""
    windows, plan = Windows(dataset, split), layout(dataset)
    known = [{"name": windows.name(i), "origin": windows.origin(i)} for i in range(len(windows))]
    if plan.kind == "label":
        return [
            one | {"labels": windows.classes(i), "classes": plan.classes, "block": i} for i, one in enumerate(known)
        ]
    units, spread = _units(dataset)
    season = np.arange(plan.horizon) % plan.season - min(plan.season, plan.window)
    return [
        one
        | {
            "future": windows.future(i),
            "naive": np.repeat(windows.past(i)[-1:], plan.horizon, 0),
            "seasonal": windows.past(i)[season],
            "unit": units.get(one["name"], units[""]),
            "spread": spread,
            "block": one["origin"] // plan.horizon,
        }
        for i, one in enumerate(known)
    ]


def _units(dataset: Path) -> tuple[dict[str, Array], Array]:
    """Mean error (V,) of the seasonal naive forecast in train, by series and of all (""), and the deviation of train."""
    plan, train = layout(dataset), table(dataset, "train")
    columns = [PREFIX + name for name in plan.targets]
    changes = train.groupby("series_id")[columns].diff(plan.season).abs()
    steps = train.groupby("series_id")["step"].diff(plan.season)
    changes = changes[steps == plan.season]
    every = changes.mean().fillna(train[columns].std()).to_numpy(np.float64)
    every = np.where(every > 0, every, 1.0)
    found = changes.groupby(train["series_id"]).mean()
    units = {str(name): np.where(row > 0, row, every) for name, row in zip(found.index, found.to_numpy(), strict=True)}
    spread = train[columns].to_numpy(np.float64).std(0)
    return units | {"": every}, np.where(spread > 0, spread, 1.0)


def blocks(references: Sequence[Any]) -> NDArray[np.int64]:
    """(N,) which windows are drawn together: those of all series that begin within one horizon, and so overlap."""
    return np.array([reference["block"] for reference in references], np.int64)


def score(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> dict[str, Any]:
    """The metrics of `weighted`, and tables `parts` (MAIN by step of the horizon and by series), or `confusion`."""
    names = [reference["name"] for reference in references]
    if params.data.goal == "label":
        wrong = _labels(predictions, references)[0]
        each, signature = wrong.mean(1), "error: share of wrong labels"
        parts = [("class", name, wrong[truth == i]) for i, (name, truth) in enumerate(_by_class(references))]
    else:
        error = np.abs(_forecasts(predictions, params)[0] - _stacked(references, "future")).mean(2)
        each = error.mean(1)
        signature = (
            f"mae|mase, naive: season {params.data.season}|blocks of {params.data.horizon}"
        )
        parts = [("step ahead", str(step + 1), error[:, step]) for step in range(error.shape[1])]
    found = np.array(names)
    parts += [("series", name or "all", each[found == name]) for name in dict.fromkeys(names)]
    rows = [
        {"kind": kind, "name": name, "count": len(of), "value": float(of.mean())} for kind, name, of in parts if len(of)
    ]
    metrics = weighted(predictions, references, params)(np.ones(len(references)))
    return {"metrics": metrics, "signature": f"{signature}|numpy:{np.__version__}", "tables": {"parts": rows}}


def weighted(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> Weighted:
    """The metrics of `score` when each window counts so many times."""
    kinds = {"label": _of_labels, "forecast": _of_forecasts}
    sums = kinds[params.data.goal](predictions, references, params)
    return lambda weights: _metrics(sums, weights, params.data.goal)


def _metrics(sums: dict[str, Array], weights: Array, kind: str) -> dict[str, float]:
    total = weights.sum()
    means = {name: float(weights @ each / total) if total else 0.0 for name, each in sums.items()}
    if kind == "label":
        return means | {"accuracy": 1 - means["mae"]}
    naive = {f"skill_{name}": 1 - means["mae"] / max(means[f"mae_{name}"], 1e-12) for name in ("naive", "seasonal")}
    return {"mae": means.pop("mae"), "rmse": means.pop("squares") ** 0.5, **naive, **means}


def _of_forecasts(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> dict[str, Array]:
    """(N,) of each window's figures."""
    if not references:
        return dict.fromkeys(("mae", "squares", "mae_naive", "mae_seasonal"), np.zeros(0))
    middle, quantiles = _forecasts(predictions, params)
    true, spread, unit = (_stacked(references, key) for key in ("future", "spread", "unit"))
    error, levels = np.abs(middle - true), np.array(params.model.quantiles)
    miss, low = true[..., None] - quantiles, quantiles.min(-1)
    found = {
        "mae": error,
        "squares": error**2,
        **{f"mae_{name}": np.abs(_stacked(references, name) - true) for name in ("naive", "seasonal")},
        "mase": error / unit[:, None],
        "smape": 200 * error / np.maximum(np.abs(true) + np.abs(middle), 1e-12),
        "pinball": np.maximum(levels * miss, (levels - 1) * miss).mean(-1),
        "coverage": ((low <= true) & (true <= quantiles.max(-1))).astype(float),
        "mse_scaled": (error / spread[:, None]) ** 2,
    }
    steps = np.unique(np.linspace(0, error.shape[1] - 1, STEPS).round().astype(int)).tolist()
    return {name: each.mean((1, 2)) for name, each in found.items()} | {
        f"mae_step_{step + 1}": error[:, step].mean(1) for step in steps
    }


def _of_labels(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> dict[str, Array]:
    if not references:
        return {"mae": np.zeros(0), "whole": np.zeros(0)}
    wrong, _ = _labels(predictions, references)
    return {"mae": wrong.mean(1), "whole": (wrong.sum(1) == 0).astype(float)}


def _labels(predictions: Sequence[Any], references: Sequence[Any]) -> tuple[Array, NDArray[np.int64]]:
    """(N, S) 1 where the likeliest class is another one than the true; and the true ones."""
    true = np.stack([reference["labels"] for reference in references])
    said = np.array([prediction["probabilities"] for prediction in predictions]).argmax(-1)
    return (said != true).astype(float), true


def _by_class(references: Sequence[Any]) -> list[tuple[str, Any]]:
    true = np.stack([reference["labels"] for reference in references])
    return [(name, np.where(true == i, i, -1)) for i, name in enumerate(references[0]["classes"])]


def _forecasts(predictions: Sequence[Any], params: Any) -> tuple[Array, Array]:
    """The median (N, H, V), and all quantiles (N, H, V, Q)."""
    found = np.array([prediction["quantiles"] for prediction in predictions], np.float64)
    return found[..., params.model.quantiles.index(0.5)], found


def _stacked(references: Sequence[Any], key: str) -> Array:
    return np.stack([reference[key] for reference in references]).astype(np.float64)
