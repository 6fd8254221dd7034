"""Small tables of numbers over time, and settings of a tiny forecaster, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core import params
from tasks.series.params import Params

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
ADDITION: dict[str, Any] = {
    "data": {
        "goal": "label", "time": None, "id": "sum", "values": ["a", "b"], "targets": None, "label": "bit",
        "split_by": "id", "window": 8, "horizon": 1, "season": 1,
        "sample": {"kind": "addition", "count": 24, "steps": 8},
    },
    "model": {"arch": "rnn", "normalise": "none"},
    "prune": None,
}  # fmt: skip
"""Changes for labels of each step."""


def settings(**changes: Any) -> Params:
    """Those of params.yaml, of a tiny network; changes: sections, of which these keys differ; None: there is none."""
    values = params.read(PARAMS)["series"]
    tiny: dict[str, Any] = {
        "data": {"window": 12, "horizon": 4, "stride": 2, "season": 6},
        "model": {"width": 16, "layers": 2, "dropout": 0.0},
        "quantize": {"calibration": 8},
    }
    for section, keys in [*tiny.items(), *changes.items()]:
        values[section] = None if keys is None else values[section] | keys
    return Params.model_validate(values)


def table(steps: int = 90, places: tuple[str, ...] = ("n", "s")) -> str:
    """A CSV of hours, each place a wave of six of them, and a covariate."""
    rng = np.random.default_rng(5)
    lines = ["time,place,load,temperature"]
    for i, place in enumerate(places):
        noise = rng.normal(0, 0.1, (steps, 2))
        for h in range(steps):
            time = np.datetime64("2024-03-01T00", "h") + h
            wave = 10 * i + 3 * np.sin(np.pi * h / 3)
            lines.append(f"{time},{place},{wave + noise[h, 0]:.4f},{np.cos(np.pi * h / 3) + noise[h, 1]:.4f}")
    return "\n".join(lines) + "\n"


def prepared(
    folder: Path, text: str, made: Params | None = None, name: str = "data.csv"
) -> tuple[Path, dict[str, Any]]:
    """The canonical dataset of one file, and its summary."""
    from tasks.series.prepare import prepare

    raw, dataset = folder / "raw", folder / "dataset"
    for each in (raw, dataset):
        each.mkdir(parents=True, exist_ok=True)
    (raw / name).write_text(text, encoding="utf-8")
    return dataset, prepare(raw, dataset, made or settings(), 7)


def seasons(folder: Path) -> Path:
    """A canonical dataset of forecasts."""
    return prepared(folder, table())[0]


def export(folder: Path, network: Any, assets: dict[str, bytes], made: Params) -> Path:
    """The network's fp32 model folder."""
    from modalities.series import graphs
    from stages.export import write_graph

    folder.mkdir(parents=True, exist_ok=True)
    for graph in graphs.graphs(network, network.arch, made):
        write_graph(graph, folder / f"{graph.name}.onnx", 18)
    graphs.describe(folder, network.arch, assets, made)
    return folder
