"""Batches for training and validation from a canonical dataset (`train.json`, `val.json`, `images/`).

A batch is a dict: `images` float32 (B, 3, H, W) raw RGB 0-255, channels last in memory; `boxes` B tensors (M, 4) of
corners in network pixels; `labels` B tensors (M,) of class indices from 0; `ids` the images' ids, `positions` theirs in
the split; and for validation `scales` (B, 2), network pixels per image pixel in x and y.
Crowd annotations train nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from core.task import Loaders
from modalities.images.data.jitter import jitter
from modalities.images.data.pixels import Pixels
from modalities.images.data.samplers import Fixed, Shuffled
from modalities.images.inputs.canonical import read_split
from modalities.images.inputs.classes import classes, write
from modalities.images.inputs.decode import fit

MIN_SIDE = 2.0
"""Boxes of which less is left in the network's input, pixels, are not learnt."""


def loaders(clean: Path, augmented: Path, params: Any, seed: int, assets: dict[str, bytes] | None) -> Loaders:
    """Train batches from `augmented` (jittered anew each epoch), validation batches from `clean`; see `core.task`."""
    records, categories = read_split(augmented, "train")
    if assets is None:
        assets = write(categories)
    indices = {entry["id"]: i for i, entry in enumerate(classes(assets))}
    size = (params.model.image_size[0], params.model.image_size[1])
    train, settings = Images(records, indices, size, seed, params.train.jitter), params.train
    sampler = Shuffled(len(train), seed, train.pixels.shards)
    val = Images(read_split(clean, "val")[0], indices, size, seed, None)
    common: dict[str, Any] = {
        "num_workers": settings.workers,
        "collate_fn": collate,
        "persistent_workers": settings.workers > 0,
    }
    few = len(train) < settings.batch_size
    return Loaders(
        DataLoader(train, settings.batch_size, sampler=sampler, drop_last=not few, **common),
        DataLoader(val, settings.batch_size, sampler=Fixed(len(val), seed), **common),
        assets,
    )


class Images(Dataset[dict[str, Any]]):
    """Samples of one split; with `settings` (params `jitter`) jittered, else as the predictor sees them."""

    def __init__(
        self,
        records: list[dict[str, Any]],
        indices: dict[int, int],
        size: tuple[int, int],
        seed: int,
        settings: Any | None,
    ):
        self.records, self.indices, self.size, self.seed, self.settings = records, indices, size, seed, settings
        self.pixels = Pixels(records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        record = self.records[index]
        image = self.pixels[index]
        known = ~record["crowd"]
        boxes, labels = record["boxes"][known], record["labels"][known]
        sample: dict[str, Any] = {"id": record["id"], "position": index}
        if self.settings is None:
            pixels, scale = fit(image, self.size)
            boxes = boxes * np.array([*scale, *scale])
            sample |= {"scale": scale}
        else:
            rng = np.random.default_rng((self.seed, epoch, index))
            pixels, boxes = jitter(image, boxes, self.size, self.settings, rng)
        kept = ((boxes[:, 2:] - boxes[:, :2]) >= MIN_SIDE).all(1)
        return sample | {
            "pixels": pixels,
            "boxes": torch.as_tensor(boxes[kept], dtype=torch.float32),
            "labels": torch.tensor([self.indices[label] for label in labels[kept].tolist()], dtype=torch.long),
        }


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Samples -> batch, see the module."""
    pixels = torch.from_numpy(np.stack([sample["pixels"] for sample in samples]))
    batch: dict[str, Any] = {
        "images": pixels.permute(0, 3, 1, 2).float(),
        "boxes": [sample["boxes"] for sample in samples],
        "labels": [sample["labels"] for sample in samples],
        "ids": [sample["id"] for sample in samples],
        "positions": [sample["position"] for sample in samples],
    }
    if "scale" in samples[0]:
        batch["scales"] = torch.tensor([sample["scale"] for sample in samples])
    return batch
