"""A loop of torch as one would write it by hand, and a loader that has it take every step that the engine takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import nn

from core.better import Better
from training import optimizer, schedule
from training.formats import Loss


class Bare:
    """Forward, backward, clipping, a step of the optimiser and of its rate; no average, no curves, no checks.

    steps: of an epoch, for the schedule.
    """

    def __init__(self, model: nn.Module, role: Any, loss: Loss, train: Any, steps: int, better: Better):
        self.model, self.loss, self.train = model, loss, train
        self.optimizer = optimizer.build(role.parameter_groups(model, train), train.optimizer, fused=True)
        self.rates = torch.optim.lr_scheduler.LambdaLR(self.optimizer, schedule.Schedule(train, steps, better))

    def step(self, batch: Any) -> None:
        self.optimizer.zero_grad()
        self.loss(self.model, batch)["loss"].backward()
        if self.train.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.train.clip_norm)
        elif self.train.clip_value:
            nn.utils.clip_grad_value_(self.model.parameters(), self.train.clip_value)
        self.optimizer.step()
        self.rates.step()


class Beside:
    """The batches of `loader`; with each, `bare` takes its step with the random numbers that the engine has for it.

    most: batches of an epoch that are taken at most. The engine's step lasts from the batch that it is given to the
    next one that it asks for: hooks, callbacks and logs are within. That of an epoch's last batch ends in validation,
    and the first makes what later ones find: both are left out. Seconds are CPU time of the process: what else runs on
    the machine takes none of it.
    """

    def __init__(self, loader: Any, bare: Bare, most: int):
        self.loader, self.bare, self.most = loader, bare, most
        self.sampler = loader.sampler
        self.seconds: dict[str, list[float]] = {"bare": [], "engine": []}

    def __len__(self) -> int:
        return min(len(self.loader), self.most)

    def __iter__(self) -> Iterator[Any]:
        for number, batch in enumerate(islice(self.loader, len(self))):
            last, state = number == len(self) - 1, torch.get_rng_state()
            first = number % 2 == 0 or last  # behind the last batch nothing is asked for
            if first:
                bare = self._bare(batch)
                torch.set_rng_state(state)
            start = time.process_time()
            yield batch
            engine = time.process_time() - start
            if not first:
                after = torch.get_rng_state()
                torch.set_rng_state(state)
                bare = self._bare(batch)
                torch.set_rng_state(after)
            if number > 0 and not last:
                self.seconds["bare"].append(bare)
                self.seconds["engine"].append(engine)

    def _bare(self, batch: Any) -> float:
        start = time.process_time()
        self.bare.step(batch)
        return time.process_time() - start
