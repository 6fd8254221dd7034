"""Batches of recordings with what is said in them, from a canonical dataset.

A batch is a dict: `samples` float32 (B, T), zeros behind the end of each; `lengths` int64 (B,); `targets` int64, of
classes (B,), of transcripts (B, symbols of the longest), and their `target_lengths` (B,); `positions` of the recordings
in the split. All sound of a split is held in memory, as 16-bit integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from core.task import Loaders
from modalities.audio.backbones.frontend import FrontEnd
from modalities.audio.inputs import canonical, symbols


def loaders(clean: Path, augmented: Path, params: Any, seed: int, assets: dict[str, bytes] | None) -> Loaders:
    """Train batches from `augmented`, in an order of their own each epoch; validation batches from `clean`."""
    settings = params.data
    train = canonical.rows(augmented, "train")
    if assets is None:
        assets = symbols.write((row["text"] for row in train), settings.target, settings.units)
    names = symbols.read(assets)
    made = Recordings(augmented, train, names, params), Recordings(clean, canonical.rows(clean, "val"), names, params)
    options: dict[str, Any] = {"num_workers": params.train.workers, "persistent_workers": params.train.workers > 0}
    size = params.train.batch_size
    few = len(made[0]) < size
    orders = Order(len(made[0]), seed, True), Order(len(made[1]), seed, False)
    return Loaders(
        DataLoader(made[0], size, sampler=orders[0], drop_last=not few, collate_fn=collate, **options),
        DataLoader(made[1], size, sampler=orders[1], collate_fn=collate, **options),
        assets,
    )


class Order(Sampler[int]):
    """A seeded order of `length` samples; `fresh`: another one each epoch."""

    def __init__(self, length: int, seed: int, fresh: bool):
        self.length, self.seed, self.fresh, self.epoch = length, seed, fresh, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning, so that a resumed run goes on where it was."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, self.epoch if self.fresh else 0))
        self.epoch += 1
        yield from rng.permutation(self.length).tolist()


class Recordings(Dataset[dict[str, Any]]):
    """Samples of one split; what stands in no train transcript is left out of a target."""

    def __init__(self, dataset: Path, rows: list[dict[str, Any]], names: list[str], params: Any):
        rate, self.least = params.data.rate, least(params)
        read = (canonical.samples(dataset, row, rate) for row in rows)
        self.samples = [np.rint(samples * 32767).astype(np.int16) for samples in read]
        if params.data.target == "class":
            places = {name: i for i, name in enumerate(names)}
            self.targets = [[places.get(row["text"], 0)] for row in rows]
        else:
            places = {name: i + 1 for i, name in enumerate(names)}
            units = (symbols.split(row["text"], params.data.units) for row in rows)
            self.targets = [[places[unit] for unit in every if unit in places] for every in units]
        self.flat = params.data.target == "class"

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        samples = torch.from_numpy(self.samples[index]).float() / 32767
        if len(samples) < self.least:
            samples = torch.nn.functional.pad(samples, (0, self.least - len(samples)))
        target = torch.tensor(self.targets[index], dtype=torch.int64)
        return {"samples": samples, "target": target, "flat": self.flat, "position": index}


def least(params: Any) -> int:
    """Samples that a recording is filled up to with silence."""
    return FrontEnd(params.model.features.model_dump() | {"rate": params.data.rate}).length


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Samples -> batch, see the module."""
    padded = torch.nn.utils.rnn.pad_sequence
    targets = padded([each["target"] for each in samples], batch_first=True)
    return {
        "samples": padded([each["samples"] for each in samples], batch_first=True),
        "lengths": torch.tensor([len(each["samples"]) for each in samples]),
        "targets": targets[:, 0] if samples[0]["flat"] else targets,
        "target_lengths": torch.tensor([len(each["target"]) for each in samples]),
        "positions": [each["position"] for each in samples],
    }
