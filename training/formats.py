"""In which numbers a network computes, and how its pictures lie in memory; `precision: auto` has it measured.

A few steps of each format are taken on copies of the network, with the first batches of the first epoch and the task's
own loss, in turn, so that other load on the machine slows all of them. What is learnt afterwards is what the format
learns when params name it: no random number is drawn for good, no sampler counts an epoch, no statistic moves.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from core.errors import TrainingError
from core.files import read_json, write_json
from training import hardware, randomness
from training.engine import move_data_to_device

Loss = Callable[[nn.Module, Any], dict[str, Tensor]]

BATCHES = 3
"""Taken in turn, the same by every format."""
ROUNDS = 15
"""Steps of each format at most."""
FEWEST = 3
"""Steps of each format without which nothing is known, and the first format stays."""
BUDGET_S = 20.0
"""For the whole; the step under way when it ends is the last."""
MARGIN = 0.03
"""Share of a step's time that another format must save: less is not worth another format's rounding."""
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
FILE = "format.json"
"""What was chosen, among the checkpoints to resume from."""


@dataclass(frozen=True)
class Format:
    precision: str
    """As in params: 32, bf16 or fp16, mixed with 32 as autocast does."""
    channels_last: bool | None
    """Whether a picture's colours lie side by side in memory; None: of a task without pictures."""

    def __str__(self) -> str:
        layout = {None: "", True: ", channels last", False: ", channels first"}
        return self.precision + layout[self.channels_last]


def settle(ctx: Any, model: nn.Module, loader: Any, loss: Loss, train: Any, where: Path) -> tuple[Any, dict[str, Any]]:
    """`train` with a format in place of `precision: auto`, and what was measured: empty where params name one.

    where: the folder of the checkpoints to resume from. What stands there is taken: a training ends with the format
    that it began with, and all its processes have one. Raises: TrainingError when that is damaged.
    """
    if train.precision != "auto":
        return train, {}
    path = where / FILE
    if path.exists():
        found, why = _kept(path), "as this training began with"
    else:
        ways = candidates(getattr(train, "channels_last", None))
        seconds = measured(model, loader, loss, ways)
        chosen = choose(seconds, ways[0])
        found = {**asdict(chosen), "step_ms": {str(way): _ms(taken) for way, taken in seconds.items()}}
        where.mkdir(parents=True, exist_ok=True)
        write_json(path, found)
        why = "of " + "; ".join(f"{way}: {_told(ms)}" for way, ms in found["step_ms"].items())
    chosen = Format(found["precision"], found["channels_last"])
    print(f"{ctx.name}: precision auto is {chosen}, {why}", flush=True)
    ctx.run.params({"measured": found})
    update = {"precision": chosen.precision} | (
        {} if chosen.channels_last is None else {"channels_last": chosen.channels_last}
    )
    return train.model_copy(update=update), found


def _kept(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_json(path)
        if found["precision"] not in ("32", *TYPES) or found["channels_last"] not in (None, True, False):
            raise ValueError(f"found {found}")
    except (ValueError, LookupError, TypeError) as error:
        raise TrainingError(
            f"{path}, the format that this training began with, is damaged ({error}); remove its folder and run again: "
            "training starts anew"
        ) from None
    return found


def _ms(seconds: list[float]) -> float | None:
    """The median, milliseconds to the hundredth; None where nothing was measured."""
    return round(1000 * statistics.median(seconds), 2) if seconds else None


def _told(ms: float | None) -> str:
    return "not measured" if ms is None else f"{ms:.1f} ms a step"


def candidates(channels_last: bool | None) -> list[Format]:
    """Formats that this machine has; the first stays unless another is faster. channels_last: as params have it."""
    layouts = [None] if channels_last is None else [channels_last, not channels_last]
    half = "bf16"
    if torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False):
        half = "fp16"
    return [Format(precision, layout) for precision in ("32", half) for layout in layouts]


def choose(seconds: dict[Format, list[float]], first: Format) -> Format:
    """The fastest, by the median of its steps' times over those of `first` in the same rounds."""
    if len(seconds[first]) < FEWEST:
        return first
    ratios = {
        way: statistics.median(mine / other for mine, other in zip(taken, seconds[first], strict=False))
        for way, taken in seconds.items()
        if len(taken) >= FEWEST
    }
    fastest = min(ratios, key=lambda way: ratios[way])
    return fastest if ratios[fastest] < 1 - MARGIN else first


def measured(
    model: nn.Module, loader: Any, loss: Loss, ways: list[Format], budget_s: float = BUDGET_S
) -> dict[Format, list[float]]:
    """Seconds of a step, forward and backward, of each format in each round; the optimiser's are the same for all.

    A format that the machine refuses has none. Raises: what the first format raises.
    """
    end = time.perf_counter() + budget_s
    device = torch.device(hardware.device())
    taken: dict[Format, list[float]] = {way: [] for way in ways}
    refused: set[Format] = set()
    with _undisturbed():
        batches = [move_data_to_device(batch, device) for batch in first(loader, BATCHES)]
        layouts = {way.channels_last for way in ways}
        networks = {layout: laid(copy.deepcopy(model).to(device), layout) for layout in layouts}
        for number in range(-1, ROUNDS):  # the first is warm-up
            for way in ways:
                if way in refused:
                    continue
                if time.perf_counter() > end:
                    return taken
                batch = batches[number % len(batches)]
                try:
                    spent = _step(networks[way.channels_last], batch, loss, way, device)
                except RuntimeError:
                    if way is ways[0]:
                        raise
                    refused.add(way)
                    taken[way] = []
                    continue
                if number >= 0:
                    taken[way].append(spent)
    return taken


def _step(network: nn.Module, batch: Any, loss: Loss, way: Format, device: torch.device) -> float:
    network.zero_grad(set_to_none=True)
    _wait(device)
    start = time.perf_counter()
    kind = TYPES.get(way.precision)
    with torch.autocast(device.type, dtype=kind or torch.bfloat16, enabled=kind is not None):
        value = loss(network, pictures(batch, way.channels_last))["loss"]
    value.backward()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """All random generators are afterwards as they were before, and what a GPU's allocator holds is given back."""
    state = randomness.state()
    try:
        yield
    finally:
        randomness.restore(state)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def first(loader: DataLoader[Any], count: int) -> list[Any]:
    """The first batches of the epoch that comes next, which stay its first ones.

    A loader of its own, without workers: one that has them, and keeps them, draws a number when they are started.
    """
    alone: DataLoader[Any] = DataLoader(
        loader.dataset,
        batch_size=loader.batch_size,
        sampler=copy.copy(loader.sampler),  # they count epochs
        drop_last=loader.drop_last,
        collate_fn=loader.collate_fn,
    )
    return list(islice(alone, count))


def laid(network: nn.Module, channels_last: bool | None) -> nn.Module:
    """The network in place, with weights of convolutions that lie as `channels_last` says; None: as they are."""
    if channels_last is None:
        return network
    return network.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def pictures(batch: Any, channels_last: bool | None) -> Any:
    """The batch with images (B, C, H, W) that lie as `channels_last` says."""
    if channels_last is None or "images" not in batch:
        return batch
    kind = torch.channels_last if channels_last else torch.contiguous_format
    return batch | {"images": batch["images"].contiguous(memory_format=kind)}
