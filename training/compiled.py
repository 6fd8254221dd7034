"""`train.compile`: the network of the steps as torch.compile's inductor writes it anew.

Weights, their names, the average, checkpoints and validation are those of the network itself: the compiled one shares
its tensors.
"""

from __future__ import annotations

import time

import torch
from torch import nn

from core.errors import TrainingError


def check(device: str) -> None:
    """Compile a little for real. Raises: TrainingError with what is missing."""
    number = float(time.time_ns() % 2**31)  # what was compiled before comes from a cache, and needs no compiler
    probe = torch.compile(lambda x: x.sin() * number)
    try:
        probe(torch.zeros(8, device=device))
    except Exception as error:  # what inductor and the compilers below it raise is theirs to change
        needs = "Triton, and a C compiler for it" if device.startswith("cuda") else "a C++ compiler"
        advice = "install it (Debian: `apt-get install g++`; CXX names another one), or set `compile: false`"
        first = str(error).strip().splitlines()[0][:200]
        raise TrainingError(f"`compile: true` needs {needs}, and torch.compile failed: {first}; {advice}") from None


def compiled(model: nn.Module, dynamic: bool) -> nn.Module:
    """A network to call in place of `model`, compiled at its first call. dynamic: for inputs of many shapes."""
    from torch._inductor import config

    config.deterministic = torch.are_deterministic_algorithms_enabled()  # as torch's own switch says it to the compiler
    made: nn.Module = torch.compile(model, dynamic=dynamic)
    return made
