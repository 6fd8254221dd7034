"""Role `predict` of series: a history in, quantiles of what follows or classes out; numpy and ONNX Runtime only.

Reads a model folder: `network.onnx`, `history` float32 (batch, window, values) -> `told`, quantiles (batch, horizon,
targets, quantiles) in units of the data or logits (batch, steps, classes); and `model.json`. A history is text, see
`modalities.series.inputs.histories`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.files import read_json
from core.onnx_session import CPU, session
from modalities.series.inputs.histories import parse, texts
from modalities.series.inputs.windows import Floats, Windows, described

EXAMPLE = "load,temperature\n41.2,11.5\n40.8,11.9"


def inputs(dataset: Path, split: str, limit: int | None = None) -> list[str]:
    """Histories of a split's windows."""
    windows = Windows(dataset, split)
    return texts(windows.layout.values, windows.seen, windows.first[:limit].tolist(), windows.layout.window)


class Predictor:
    """Predicts with the model folder `folder` and nothing else."""

    def __init__(self, folder: Path, threads: int = 0, provider: str = CPU, **options: Any) -> None:
        self.settings = read_json(folder / "model.json")
        self.layout, self.quantiles = self.settings["layout"], self.settings["quantiles"]
        self.window, self.values = self.layout["window"], self.layout["values"]
        self.session = session(folder / self.settings["graphs"][0], threads, provider)

    def __call__(self, inputs: Sequence[str]) -> list[dict[str, Any]]:
        """Of each history its `quantiles` (horizon, targets, quantiles), or `probabilities` (steps, classes).

        Raises: DataError for what is no history, naming its position.
        """
        histories = [parse(text, self.values, self.window, f"input {i}") for i, text in enumerate(inputs)]
        return self.predict(histories) if histories else []

    def predict(self, histories: Sequence[Floats]) -> list[dict[str, Any]]:
        """Likewise of arrays (window, values), computed as one batch of at least one."""
        (found,) = self.session.run(["told"], {"history": np.stack(histories)})
        return [described(each, self.layout["kind"]) for each in np.asarray(found)]
