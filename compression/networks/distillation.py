"""Knowledge distillation: soft targets, hints and attention, and whether a student fits its teacher.

Shapes: N predictions, K classes (or subwords), B batch, C channels, h and w height and width of a map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import TrainingError

Hint = Literal["attention", "fitnets", "relations"]
"""What of the teacher's maps is imitated: where it looks, the maps themselves, or how inputs stand to each other."""
ANGLES = 64
"""Inputs of a batch between which angles are taken: these are as many as its cube."""
NEAR = 1e-2
"""Share of the usual distance below which two inputs have no direction."""
REGRESSORS = "hint_regressors"
"""Name of the student's part that only training has."""


def check(student: Mapping[str, Any], teacher: Mapping[str, Any]) -> None:
    """Compare what both must share: what is called what (`classes`, `tokenizer (sha256)`) -> value of each.

    Raises: TrainingError naming the first that differs.
    """
    for what, mine in student.items():
        if mine != teacher[what]:
            raise TrainingError(
                f"teacher and student do not match: {what} of the student {mine}, of the teacher {teacher[what]}; "
                "train the teacher again with the present params, or distil from the one that fits"
            )


def divergence(given: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of the student's from the teacher's distribution, both softened by `temperature`.

    given, wanted: logits (N, K) of student and teacher. Returns: the mean over N, nats.
    """
    return F.kl_div(
        F.log_softmax(given.float() / temperature, -1),
        F.log_softmax(wanted.float() / temperature, -1),
        reduction="batchmean",
        log_target=True,
    )


def soft_targets(given: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """T^2 times the `divergence`: the square keeps the gradients as large as those of the labels, whatever T is.

    Hinton et al. 2015, https://arxiv.org/abs/1503.02531, section 2.
    """
    return temperature**2 * divergence(given, wanted, temperature)


def soft_sigmoids(given: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """`soft_targets` of classes that do not exclude each other, summed: a sigmoid of z is a softmax over z and 0."""
    one, two = (torch.stack([logits, torch.zeros_like(logits)], -1).flatten(0, 1) for logits in (given, wanted))
    return given.shape[1] * soft_targets(one, two, temperature)


def attention(given: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Attention transfer (Zagoruyko & Komodakis 2017, arXiv:1612.03928, equation 2), mean over the maps.

    Each map (B, C, h, w) becomes the unit vector of its mean square over the channels: channels may differ, and nothing
    is learnt beside the student.
    """
    losses = []
    for mine, other in zip(given, wanted, strict=True):
        one, two = (F.normalize(x.float().square().mean(1).flatten(1), dim=1) for x in (mine, other))
        losses.append((one - two).square().sum(1).mean())
    return torch.stack(losses).mean()


def relations(given: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Relational knowledge distillation (Park et al. 2019, https://arxiv.org/abs/1904.05068, equations 4 and 7): how
    far the inputs of a batch are from each other, and at which angles, mean over the maps.

    Each map (B, C, h, w) tells one vector an input, its mean over space; channels may differ, and maps of one pair may
    have other sizes. Angles count twice as distances, as in the paper's experiments.
    """
    losses = []
    for mine, other in zip(given, wanted, strict=True):
        one, two = (x.float().mean((2, 3)) for x in (mine, other))
        distances = F.smooth_l1_loss(_distances(one), _distances(two))
        losses.append(distances + 2 * F.smooth_l1_loss(_angles(one), _angles(two)))
    return torch.stack(losses).mean()


def _distances(x: Tensor) -> Tensor:
    """(B, C) -> (B, B), over the mean of those between two inputs."""
    between = (x[:, None] - x[None]).square().sum(-1)
    apart = between > 0  # the root has no gradient at zero
    found = torch.where(apart, between.where(apart, torch.ones_like(between)).sqrt(), torch.zeros_like(between))
    return found / found.sum().clamp_min(torch.finfo(found.dtype).tiny) * apart.sum()


def _angles(x: Tensor) -> Tensor:
    """(B, C) -> (A, A, A) of the first A inputs: the cosine at input j between the ways to i and k."""
    ways = x[:ANGLES, None] - x[None, :ANGLES]  # [j, i]
    lengths = ways.square().sum(-1, keepdim=True)
    apart = lengths > NEAR**2 * lengths.mean()  # no angle is told of inputs that are as good as equal
    ways = torch.where(apart, ways, torch.zeros_like(ways)) * lengths.where(apart, torch.ones_like(lengths)).rsqrt()
    return torch.einsum("jic,jkc->jik", ways, ways)


class Regressors(nn.Module):
    """From each of the student's maps to the teacher's channels: a 1x1 convolution where these differ."""

    def __init__(self, given: Sequence[int], wanted: Sequence[int]):
        super().__init__()
        self.maps = nn.ModuleList(
            nn.Identity() if mine == other else nn.Conv2d(mine, other, 1)
            for mine, other in zip(given, wanted, strict=True)
        )

    def forward(self, given: Sequence[Tensor]) -> list[Tensor]:
        """Maps (B, C of the student, h, w) -> (B, C of the teacher, h, w)."""
        return [regressor(x) for regressor, x in zip(self.maps, given, strict=True)]


def attach(student: nn.Module, given: Sequence[int], wanted: Sequence[int]) -> None:
    """Give the student regressors for `hints`, given the channels of its maps and of the teacher's.

    They are a part of it while it is trained, so that they are optimised and resumed with it; `shipped` drops them.
    """
    student.add_module(REGRESSORS, Regressors(given, wanted))


def hints(student: nn.Module, given: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """FitNets (Romero et al. 2015, https://arxiv.org/abs/1412.6550, equation 3): mean squared distance between the
    teacher's maps and the student's after its regressors (`attach`), mean over the maps.

    Maps of one pair have one height and width.
    """
    regressed = student.get_submodule(REGRESSORS)(given)
    pairs = zip(regressed, wanted, strict=True)
    return torch.stack([F.mse_loss(mine.float(), other.float()) for mine, other in pairs]).mean()


def hint(kind: Hint, student: nn.Module, given: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """How far the student's maps are from the teacher's, in the way that is asked for."""
    if kind == "fitnets":
        return hints(student, given, wanted)
    return attention(given, wanted) if kind == "attention" else relations(given, wanted)


def shipped(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a student without those of its regressors."""
    return {name: value for name, value in weights.items() if not name.startswith(f"{REGRESSORS}.")}
