"""Role `data` of tasks on numbers over time: windows -> batches.

A batch: `history` (B, W, C), `future` (B, H, V) and `labels` (B, W or 1), float32 and int64; `positions` (B,).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from core.task import Loaders
from modalities.series.inputs.windows import FILE, Windows, scale

SCALE = "scale.json"
"""Asset: mean and standard deviation of values and of targets in train."""


def loaders(clean: Path, augmented: Path, params: Any, seed: int, assets: dict[str, bytes] | None) -> Loaders:
    """See `core.task.Data`."""
    train, val = Windows(augmented, "train"), Windows(clean, "val")
    if assets is None:
        scales = {kind: scale(augmented, getattr(train.layout, kind)) for kind in ("values", "targets")}
        assets = {SCALE: json.dumps(scales).encode(), FILE: (clean / FILE).read_bytes()}
    size, workers = params.train.batch_size, params.train.workers
    drawn = torch.randperm(len(val), generator=torch.Generator().manual_seed(seed)).tolist()
    return Loaders(
        DataLoader(Samples(train), size, True, generator=torch.Generator().manual_seed(seed), num_workers=workers),
        DataLoader(Samples(val), size, sampler=drawn, num_workers=workers),
        assets,
    )


class Samples(Dataset[dict[str, Any]]):
    def __init__(self, windows: Windows):
        self.windows = windows

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, i: int) -> dict[str, Any]:
        found = self.windows
        arrays = {"history": found.history(i), "future": found.future(i), "labels": found.classes(i)}
        return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()} | {"positions": i}
