"""Role `data`: points -> batches of (B, 1) float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from core.files import read_json
from core.task import Loaders


def loaders(clean: Path, learnt: Path, params: Any, seed: int, assets: dict[str, bytes] | None) -> Loaders:
    generator = torch.Generator().manual_seed(seed)
    size = params.train.batch_size
    return Loaders(
        DataLoader(_points(learnt, "train"), size, shuffle=True, generator=generator),  # type: ignore[arg-type]
        DataLoader(_points(clean, "val"), size),  # type: ignore[arg-type]
        assets or {},
    )


def _points(dataset: Path, split: str) -> list[dict[str, torch.Tensor]]:
    return [
        {"x": torch.tensor([p["x"]]), "y": torch.tensor([p["y"]]), "positions": torch.tensor(i)}
        for i, p in enumerate(read_json(dataset / f"{split}.json"))
    ]
