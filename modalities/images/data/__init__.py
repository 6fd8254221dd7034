"""Batches of pictures with labels of the whole picture, from a canonical dataset (`train.json`, `val.json`, `images/`).

A batch is a dict: `images` float32 (B, C, H, W) raw 0-255, RGB or grey as `model.colour` says, channels last in memory;
`targets` float32 (B, K), 1 for the classes that a picture has, and what lies between after `mixing`; `positions` of the
pictures in the split.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from core.task import Loaders
from modalities.images.data.jitter import jitter
from modalities.images.data.mixing import mix
from modalities.images.data.pixels import Pixels
from modalities.images.data.samplers import Fixed, Shuffled
from modalities.images.inputs.canonical import read_split
from modalities.images.inputs.classes import classes, write
from modalities.images.inputs.decode import coloured, fit

MIXED = 1
"""Told apart from the seeds of single pictures."""


def loaders(clean: Path, augmented: Path, params: Any, seed: int, assets: dict[str, bytes] | None) -> Loaders:
    """Train batches from `augmented` (jittered and mixed anew each epoch), validation batches from `clean`.

    params: with `model.image_size` and `model.colour`, `train.jitter`, `train.mixup` and `train.cutmix`.
    """
    records, categories = read_split(augmented, "train")
    if assets is None:
        assets = write(categories)
    settings, size, colour = params.train, tuple(params.model.image_size), params.model.colour
    indices = {entry["id"]: i for i, entry in enumerate(classes(assets))}
    train = Labelled(records, indices, size, colour, seed, settings.jitter)
    val = Labelled(read_split(clean, "val")[0], indices, size, colour, seed, None)
    common: dict[str, Any] = {"num_workers": settings.workers, "persistent_workers": settings.workers > 0}
    few = len(train) < settings.batch_size
    mixed = partial(collate, mixup=settings.mixup, cutmix=settings.cutmix, seed=seed)
    ordered, fixed = Shuffled(len(train), seed, train.pixels.shards), Fixed(len(val), seed)
    return Loaders(
        DataLoader(train, settings.batch_size, sampler=ordered, drop_last=not few, collate_fn=mixed, **common),
        DataLoader(val, settings.batch_size, sampler=fixed, collate_fn=collate, **common),
        assets,
    )


class Labelled(Dataset[dict[str, Any]]):
    """Samples of one split; with `settings` (params `jitter`) jittered, else as the predictor sees them."""

    def __init__(
        self,
        records: list[dict[str, Any]],
        indices: dict[int, int],
        size: tuple[int, ...],
        colour: str,
        seed: int,
        settings: Any | None,
    ):
        self.records, self.indices, self.colour, self.seed, self.settings = records, indices, colour, seed, settings
        self.size = (size[0], size[1])
        self.pixels = Pixels(records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        image = self.pixels[index]
        if self.settings is None:
            view = fit(image, self.size)[0]
        else:
            rng = np.random.default_rng((self.seed, epoch, index))
            view, _ = jitter(image, np.zeros((0, 4)), self.size, self.settings, rng)
        target = np.zeros(len(self.indices), np.float32)
        target[[self.indices[label] for label in self.records[index]["whole"].tolist()]] = 1
        return {"pixels": coloured(view, self.colour), "target": target, "epoch": epoch, "position": index}


def collate(samples: list[dict[str, Any]], mixup: float = 0.0, cutmix: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """Samples -> batch, see the module; how it is mixed hangs on the seed, the epoch and its first sample alone."""
    pixels = torch.from_numpy(np.stack([sample["pixels"] for sample in samples]))
    images, targets = pixels.permute(0, 3, 1, 2).float(), torch.from_numpy(np.stack([s["target"] for s in samples]))
    positions = [sample["position"] for sample in samples]
    if mixup or cutmix:
        rng = np.random.default_rng((seed, samples[0]["epoch"], positions[0], MIXED))
        images, targets = mix(images, targets, mixup, cutmix, rng)
    return {"images": images, "targets": targets, "positions": positions}
