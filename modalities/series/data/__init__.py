"""Role `data` of tasks on numbers over time: windows -> batches.

A batch: `history` (B, W, C), `future` (B, H, V) and `labels` (B, W or 1), float32 and int64; `positions` (B,).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from core.task import Loaders
from modalities.series.inputs.windows import FILE, PREFIX, Windows, layout, table

SCALE = "scale.json"
"""Asset: mean and standard deviation in train, 1 where nothing changes, of `values` and `targets`."""


def loaders(clean: Path, augmented: Path, params: Any, seed: int, assets: dict[str, bytes] | None) -> Loaders:
    """See `core.task.Data`."""
    train, val = Samples(augmented, "train"), Samples(clean, "val")
    assets = assets or {SCALE: json.dumps(_scale(augmented)).encode(), FILE: (clean / FILE).read_bytes()}
    size, workers = params.train.batch_size, params.train.workers
    generator, order = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(val), generator=order).tolist()
    return Loaders(
        DataLoader(train, size, True, generator=generator, num_workers=workers),
        DataLoader(val, size, sampler=drawn, num_workers=workers),
        assets,
    )


def _scale(dataset: Path) -> dict[str, dict[str, list[float]]]:
    rows, plan = table(dataset, "train"), layout(dataset)
    found = {}
    for kind, names in (("values", plan.values), ("targets", plan.targets)):
        numbers = rows[[PREFIX + name for name in names]].to_numpy(np.float64)
        spread = numbers.std(0)
        found[kind] = {"mean": numbers.mean(0).tolist(), "std": np.where(spread > 0, spread, 1.0).tolist()}
    return found


class Samples(Dataset[dict[str, Any]]):
    """A split's windows as tensors."""

    def __init__(self, dataset: Path, split: str):
        self.windows = Windows(dataset, split)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, i: int) -> dict[str, Any]:
        of = self.windows
        arrays: dict[str, Any] = {"history": of.history(i), "future": of.future(i), "labels": of.classes(i)}
        return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()} | {"positions": i}
