"""What the sections `prune` and `distill` of every task hold; each task adds sizes, hints and its `train`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.params import Name, Probability, Section


class Taught(Section):
    """How a smaller model learns from another, beside its own settings of training."""

    of: Name = "base"
    """The variant that it is made of and learns from. So `distill -> prune` is a pruned variant of a distilled one."""
    temperature: float = Field(gt=0)
    """What the logits of both are divided by before they are compared."""
    soft_weight: Probability
    """Weight of the other's outputs as targets against the labels."""


class Prune(Taught):
    """`soft_weight: 0`: what is left is tuned on the labels alone."""

    ratio: float = Field(gt=0, lt=1)
    """Share that is removed of each layer."""


class Distill(Taught):
    initial: Literal["teacher", "weights"]
    """`teacher`: layers that the student shares with its teacher begin with its weights; `weights`: the student begins
    as the base once did, by `model.weights`."""
