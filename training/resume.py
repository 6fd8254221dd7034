"""Checkpoints to resume from: outside DVC's outputs (which DVC removes), keyed by the stage's inputs.

Two are kept, each with its sha256, so that one that a kill truncated falls back to the one before. They are read with
`weights_only=True`: a pickle that would run code is refused.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch

from core import files, paths
from training import randomness
from training.batches import Batches
from training.engine import SIGTERMException, TorchCheckpointIO, pl

KEPT = 2
EVERY_S = 600.0
"""Seconds between checkpoints within an epoch; one more at its end."""


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


class Local(TorchCheckpointIO):
    """Writes to this machine's disk; Lightning's own imports all clients of remote storage, to ask if it is theirs."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        torch.save(checkpoint, path)


class Resumable(pl.Callback):
    """Saves after every epoch, every `EVERY_S` within one and at SIGTERM, with the state of all random generators.

    Several devices save after epochs only: within one they do not stop at the same step.
    """

    def __init__(self, where: Path, batches: Batches):
        self.where, self.batches = where, batches
        self.epoch, self.done, self.loaded = 0, 0, 0
        """Whole epochs, batches of the next one that a checkpoint holds, and how many were loaded beyond these."""
        self.saved = time.monotonic()

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # Not later: Lightning makes the loader's iterator before the epoch starts, and workers take their first batches
        # from the sampler.
        state = self.__dict__.pop("restored", None)
        if state is None:
            return
        self.epoch = state["epoch"]
        if hasattr(self.batches.sampler, "set_epoch"):
            self.batches.sampler.set_epoch(self.epoch)
        randomness.restore(state["begun"] if state["done"] else state["now"])
        self.batches.go_on(state["done"], state["loaded"], state["now"])

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, index: int) -> None:
        # Not after the batch before: Lightning has not counted that one yet, and the average not taken it in.
        if time.monotonic() - self.saved > EVERY_S:
            self._save_within(trainer, index, loaded=1)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.epoch, self.done, self.loaded = trainer.current_epoch + 1, 0, 0
        self._save(trainer)

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        if isinstance(exception, SIGTERMException):  # Lightning raises it when the step has ended
            self._save_within(trainer, trainer.fit_loop.epoch_loop.batch_progress.current.completed, loaded=0)

    def state_dict(self) -> dict[str, Any]:
        place = {"epoch": self.epoch, "done": self.done, "loaded": self.loaded}
        return place | {"begun": self.batches.begun, "now": randomness.state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.restored = state

    def _save_within(self, trainer: pl.Trainer, done: int, loaded: int) -> None:
        if 0 < done < len(self.batches) and trainer.world_size == 1:
            self.done, self.loaded = done, loaded
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        self.where.mkdir(parents=True, exist_ok=True)
        path = self.where / f"{trainer.global_step:09d}.ckpt"
        aside = path.with_suffix(".partial")
        trainer.save_checkpoint(aside)  # on every rank; rank 0 writes
        self.saved = time.monotonic()
        if trainer.is_global_zero:
            files.write_text(path.with_suffix(".sha256"), files.sha256(aside))
            aside.replace(path)
            for old in sorted(self.where.glob("*.ckpt"))[:-KEPT]:
                old.unlink()
                old.with_suffix(".sha256").unlink(missing_ok=True)
