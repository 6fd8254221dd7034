"""Role `prepare` of series: rows of numbers over time -> the canonical dataset; and the samples."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from modalities.series.prepare.canonical import prepare
from modalities.series.prepare.samples import KINDS

__all__ = ["prepare"]  # of the role


def sample(folder: Path, params: Any, seed: int) -> None:
    """Write `data.sample` as a CSV, see `modalities.series.prepare.samples`."""
    settings = params.data.sample
    made = KINDS[settings.kind](settings.count, settings.steps, np.random.default_rng(seed))
    with (folder / f"{settings.kind}.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(made)
