"""Checkpoints to resume from: outside DVC's outputs (which DVC removes), keyed by the stage's inputs.

Two are kept, each with its sha256, so that one that a kill truncated falls back to the one before. They are read with
`weights_only=True`: a pickle that would run code is refused.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch

from core import files, paths

KEPT = 2


def folder(name: str, key: str) -> Path:
    """Where the checkpoints of stage instance `name` with inputs `key` lie."""
    return paths.resume(name) / key


def newest(where: Path) -> Path | None:
    """The newest whole checkpoint, None when there is none."""
    for path in sorted(where.glob("*.ckpt"), reverse=True):
        digest = path.with_suffix(".sha256")
        if digest.exists() and files.sha256(path) == digest.read_text(encoding="utf-8"):
            return path
        print(f"{path} is damaged; going back to the checkpoint before it", file=sys.stderr)
    return None


class Resumable(pl.Callback):
    """Saves after every epoch, with the state of all random generators."""

    def __init__(self, where: Path, sampler: Any):
        self.where, self.sampler, self.epoch = where, sampler, 0

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.epoch = trainer.current_epoch + 1
        self.where.mkdir(parents=True, exist_ok=True)
        path = self.where / f"{trainer.current_epoch:06d}.ckpt"
        aside = path.with_suffix(".partial")
        trainer.save_checkpoint(aside)  # on every rank; rank 0 writes
        if trainer.is_global_zero:
            files.write_text(path.with_suffix(".sha256"), files.sha256(aside))
            aside.replace(path)
            for old in sorted(self.where.glob("*.ckpt"))[:-KEPT]:
                old.unlink()
                old.with_suffix(".sha256").unlink(missing_ok=True)

    def state_dict(self) -> dict[str, Any]:
        version, keys, gauss = random.getstate()
        name, vector, position, has_gauss, cached = np.random.get_state()
        return {
            "epoch": self.epoch,
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
            "python": [version, list(keys), gauss],
            "numpy": [name, torch.from_numpy(np.asarray(vector).astype(np.int64)), position, has_gauss, cached],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.restored = state

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # Not later: Lightning makes the loader's iterator before the epoch starts; that draws a number, and workers
        # take their first batches from the sampler.
        state = self.__dict__.pop("restored", None)
        if state is None:
            return
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(state["epoch"])
        torch.set_rng_state(state["torch"])
        torch.cuda.set_rng_state_all(state["cuda"])
        version, keys, gauss = state["python"]
        random.setstate((version, tuple(keys), gauss))
        name, vector, position, has_gauss, cached = state["numpy"]
        np.random.set_state((name, vector.numpy().astype(np.uint32), position, has_gauss, cached))
