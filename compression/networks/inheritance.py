"""A student that begins with layers of its teacher, as DistilBERT does (Sanh et al. 2019, https://arxiv.org/abs/1910.01108,
section 3: one layer of two): what both have is copied, and what the student lacks is all that it has to make up for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


@torch.no_grad()
def inherit(student: nn.Module, teacher: nn.Module) -> int:
    """Copy the teacher's tensors into the student, in place, wherever modules of one name have tensors of one name and
    shape. In a list of which the student has fewer modules, runs of modules alike are matched in order, and of a run of
    n the student's k begin as the teacher's 0, n // k, 2 n // k, ... A module of another form may know how to begin as
    the teacher's of its name: `begin_as(module)`, which says how many parameters it has set.

    Returns: how many of its parameters were copied, or set.
    """
    copied = 0
    parameters = {name for name, _ in student.named_parameters()}
    mine, other = student.state_dict(), teacher.state_dict()
    for name, origin in origins(student, teacher).items():
        mine[name].copy_(other[origin])
        copied += mine[name].numel() if name in parameters else 0
    theirs = dict(teacher.named_modules())
    for name, module in student.named_modules():
        if name in theirs and hasattr(module, "begin_as"):
            copied += module.begin_as(theirs[name])
    return copied


def origins(student: nn.Module, teacher: nn.Module) -> dict[str, str]:
    """Name of each of the student's tensors that the teacher has, too -> its name there."""
    theirs = _own(teacher)
    found = {
        name: name for name, tensor in _own(student).items() if name in theirs and theirs[name].shape == tensor.shape
    }
    children = dict(teacher.named_children())
    if isinstance(student, nn.ModuleList | nn.Sequential) and isinstance(teacher, nn.ModuleList | nn.Sequential):
        pairs = [(str(i), str(j)) for i, j in aligned([*map(_shapes, student)], [*map(_shapes, teacher)]).items()]
    else:
        pairs = [(name, name) for name, _ in student.named_children() if name in children]
    for name, origin in pairs:
        inner = origins(student.get_submodule(name), children[origin])
        found |= {f"{name}.{mine}": f"{origin}.{other}" for mine, other in inner.items()}
    return found


def aligned(student: Sequence[Any], teacher: Sequence[Any]) -> dict[int, int]:
    """Positions in a student's list of layers -> positions in its teacher's, given what each layer is like.

    Lists of one length are matched one by one, whatever they hold.
    """
    if len(student) == len(teacher):
        return {i: i for i in range(len(student))}
    found: dict[int, int] = {}
    runs, first = _runs(teacher), 0
    for kind, mine in _runs(student):
        at = next((i for i in range(first, len(runs)) if runs[i][0] == kind), None)
        if at is None:
            continue
        first, other = at + 1, runs[at][1]
        count = min(len(mine), len(other))
        found |= {mine[i]: other[i * len(other) // count] for i in range(count)}
    return found


def _runs(kinds: Sequence[Any]) -> list[tuple[Any, list[int]]]:
    """Neighbours alike, and their positions."""
    grouped = itertools.groupby(range(len(kinds)), key=lambda i: kinds[i])
    return [(kind, list(places)) for kind, places in grouped]


def _own(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers of the module itself, those of its parts left out."""
    return {name: tensor for name, tensor in module.state_dict().items() if "." not in name}


def _shapes(module: nn.Module) -> tuple[Any, ...]:
    return tuple((name, tuple(tensor.shape)) for name, tensor in module.state_dict().items())
