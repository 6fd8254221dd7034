"""Fit a model with Lightning: the one engine behind the stages train, prune and distill."""

from __future__ import annotations

import logging
import math
import pickle
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core import lineage, stage
from core.errors import MemoryExhaustedError, TrainingError, WorkerDiedError
from core.task import Loaders
from training import compiled, formats, hardware, parts, resume
from training.batches import Batches
from training.callbacks import Best, Curves
from training.engine import SIGTERMException, pl
from training.module import Learner
from training.share import Share, rank
from training.watch import Watched


@dataclass(frozen=True)
class Fitted:
    weights: dict[str, Tensor]
    """State dict of the best validation."""
    result: dict[str, Any]
    """`best` (the task's metric), `epoch` (from 0), `epochs`, `steps`; with `precision: auto` its `format`."""
    curves: dict[str, list[list[float]]]
    """Metric -> [step, value] pairs."""
    seconds: float


def fit(
    ctx: stage.Context,
    role: Any,
    model: nn.Module,
    loaders: Loaders,
    loss: Callable[[nn.Module, Any], dict[str, Tensor]],
    train: Any,
    watched: Watched,
) -> Fitted:
    """Train `model` in place until `train.epochs`, or `train.patience` validations without a better `watched`.

    role: the task's `model` module; loss: (model, batch) -> scalars, of which `loss` is minimised.
    Goes on from the last checkpoint of an execution with the same inputs that was killed.
    Raises: TrainingError for a loss that is not finite, exhausted memory, a killed loader worker.
    """
    batches = Batches(Share(loaders.train, rank(), train.devices) if train.devices > 1 else loaders.train)
    in_parts = parts.number()
    steps = math.ceil(len(batches) / in_parts)
    if steps == 0:
        raise TrainingError("the train split is smaller than one batch; lower `batch_size` or add data")
    best = Best(f"val/{watched.name}", watched.better, train.patience)
    curves = Curves(ctx.run, train.epochs)
    # In parts an epoch has other batches: a checkpoint of whole ones does not fit.
    saved = resume.folder(ctx.name, lineage.inputs_key(ctx.name) + (f"-{in_parts}" if in_parts > 1 else ""))
    if in_parts > 1:
        print(f"each batch is computed in {in_parts} parts", flush=True)
        ctx.run.tag("batch_parts", str(in_parts))
    if train.compile:
        compiled.check(hardware.device())
    with _advice():
        train, measured = formats.settle(ctx, model, loaders.train, loss, train, saved)
    learner = Learner(model, role, loss, watched, train, steps)
    every = min(train.validate_every, train.epochs)
    _quiet()
    trainer = pl.Trainer(
        max_epochs=train.epochs,
        accelerator=hardware.accelerator(),
        devices=train.devices,
        strategy=train.strategy,
        precision=hardware.precision(train.precision),
        gradient_clip_val=train.clip_norm or train.clip_value or None,
        gradient_clip_algorithm="norm" if train.clip_norm else "value",
        accumulate_grad_batches=in_parts,
        check_val_every_n_epoch=every,
        num_sanity_val_steps=0,
        callbacks=[best, curves, resume.Resumable(saved, batches)],
        plugins=[resume.Local()],
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
        use_distributed_sampler=False,  # batches are shared out above; every process validates on all of `val`
    )
    checkpoint = resume.newest(saved)
    if checkpoint is not None:
        print(f"going on from {checkpoint}", flush=True)
    start = time.perf_counter()
    with _advice():
        with _sigterm():
            trainer.fit(learner, batches, loaders.val, ckpt_path=checkpoint, weights_only=True)
        epochs, steps = trainer.current_epoch, trainer.global_step
        if epochs % every:  # the last weights are a candidate, too
            trainer.validate(learner, loaders.val, verbose=False)
    seconds = time.perf_counter() - start
    ctx.run.metrics({"seconds": seconds})
    result = {"best": best.value, "epoch": best.epoch, "epochs": epochs, "steps": steps}
    result |= {"format": measured} if measured else {}
    return Fitted(best.weights, result, curves.points, seconds)


@contextmanager
def _sigterm() -> Iterator[None]:
    """Leave SIGTERM to Lightning, which lets the step end and then unwinds; then end as the signal demands."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Lightning would call another handler in mid-step
    try:
        yield
    except SIGTERMException:
        sys.exit(128 + signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _advice() -> Iterator[None]:
    """Failures of the machine, told with what to do."""
    try:
        yield
    except pickle.UnpicklingError as error:
        raise TrainingError(
            "the checkpoint to resume from holds something other than plain values and was not loaded "
            f"({_first(error)}); remove its folder below .stillhouse/resume and run again"
        ) from None
    except torch.OutOfMemoryError as error:
        raise MemoryExhaustedError(
            f"out of memory ({_first(error)}); lower `batch_size`, or the model's sizes"
        ) from None
    except RuntimeError as error:
        text = str(error)
        if "DataLoader worker" in text:
            raise WorkerDiedError(
                f"a process that loads data died ({_first(error)}), usually killed for memory; lower `workers` (0 "
                "loads in the training process) or `batch_size`, and run again: training goes on from the last epoch"
            ) from None
        if "allocate memory" in text or "out of memory" in text:
            raise MemoryExhaustedError(
                f"out of memory ({_first(error)}); lower `batch_size`, or the model's sizes"
            ) from None
        raise


def _first(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200]


def _quiet() -> None:
    """Lightning's banners and hints are about choices that are made here on purpose."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
