"""Role `predict` of series: a history in, quantiles of what follows or classes out; numpy and ONNX Runtime only.

Reads a model folder: `network.onnx`, `history` float32 (batch, window, values) -> `told`, quantiles (batch, horizon,
targets, quantiles) in units of the data or logits (batch, steps, classes); and `model.json`.

A history is text as of a CSV file, a line a step, the newest last: with a header its columns are found by name, without
one they are the model's values in order. Steps before the model's window are not looked at.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import DataError
from core.files import read_json
from core.onnx_session import CPU, session
from core.visible import visible
from modalities.series.inputs.windows import Floats, Windows, described

EXAMPLE = "load,temperature\\n41.2,11.5\\n40.8,11.9\\n..."
SEPARATORS = ",;\t"


def inputs(dataset: Path, split: str, limit: int | None = None) -> list[str]:
    """Histories of a split's windows, as text."""
    windows = Windows(dataset, split)
    head = io.StringIO()
    csv.writer(head, lineterminator="\n").writerow(windows.layout.values)
    rows = [",".join(map(str, row)) for row in windows.seen]
    first = windows.first[:limit].tolist()
    return [head.getvalue() + "\n".join(rows[i : i + windows.layout.window]) for i in first]


class Predictor:
    """Predicts with the model folder `folder` and nothing else."""

    def __init__(self, folder: Path, threads: int = 0, provider: str = CPU, **options: Any) -> None:
        self.settings = read_json(folder / "model.json")
        self.layout, self.quantiles = self.settings["layout"], self.settings["quantiles"]
        self.window, self.values = self.layout["window"], self.layout["values"]
        self.session = session(folder / self.settings["graphs"][0], threads, provider)

    def __call__(self, inputs: Sequence[str]) -> list[dict[str, Any]]:
        """inputs: histories as text. Returns: for each its `quantiles` (horizon, targets, quantiles), or `probabilities`
        (steps, classes). Raises: DataError for what is no history, naming its position."""
        if not inputs:
            return []
        return self.describe(self.told([self.history(text, f"input {i}") for i, text in enumerate(inputs)]))

    def told(self, histories: Sequence[Floats]) -> Floats:
        """The network's output for histories (window, values), computed as one batch."""
        (found,) = self.session.run(["told"], {"history": np.stack(histories)})
        return np.asarray(found)

    def describe(self, told: Floats) -> list[dict[str, Any]]:
        return [described(each, self.layout["kind"]) for each in told]

    def history(self, text: Any, name: str) -> Floats:
        """(window, values) of a text; name: what an error calls it. Raises: DataError naming line and column."""
        if not isinstance(text, str):
            raise DataError(f"{name}: expected text as of a CSV file, found {type(text).__name__}")
        try:
            separator = max(SEPARATORS, key=text.lstrip().partition("\n")[0].count)
            rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=separator))
        except csv.Error as error:
            raise DataError(f"{name}: no CSV: {error}") from None
        lines = [(number, row) for number, row in enumerate(rows, 1) if row]
        columns, width = list(range(len(self.values))), len(self.values)
        if lines and any(_number(cell) is None for cell in lines[0][1]):
            head = [cell.strip() for cell in lines.pop(0)[1]]
            if lacking := [value for value in self.values if value not in head]:
                raise DataError(f"{name}: has no column {lacking[0]!r}, found {visible(str(head[:8]))}")
            columns, width = [head.index(value) for value in self.values], len(head)
        if len(lines) < self.window:
            raise DataError(f"{name}: has {len(lines)} steps, expected at least {self.window}, the model's window")
        found = np.empty((self.window, len(self.values)), np.float32)
        for i, (number, row) in enumerate(lines[-self.window :]):
            if len(row) != width:
                raise DataError(f"{name}, line {number}: has {len(row)} cells, expected {width}")
            for j, column in enumerate(columns):
                if (value := _number(row[column])) is None:
                    shown = visible(row[column][:40])
                    raise DataError(f"{name}, line {number}: {self.values[j]} is {shown!r}, expected a finite number")
                found[i, j] = value
        return found


def _number(cell: str) -> float | None:
    """None: it is no finite number of 32 bits."""
    try:
        found = float(cell)
    except ValueError:
        return None
    return found if math.isfinite(found) and abs(found) <= float(np.finfo(np.float32).max) else None
