"""What the sections `prune` and `distill` of every task hold; each task adds sizes, hints and its `train`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.params import Probability, Section


class Taught(Section):
    """How a smaller model learns from the base, beside its own settings of training."""

    temperature: float = Field(gt=0)
    """What the logits of both are divided by before they are compared."""
    soft_weight: Probability
    """Weight of the base's outputs as targets against the labels."""


class Prune(Taught):
    """`soft_weight: 0`: what is left is tuned on the labels alone."""

    ratio: float = Field(gt=0, lt=1)
    """Share that is removed of each layer."""


class Distill(Taught):
    initial: Literal["base", "weights"]
    """`base`: layers that the student shares with the base begin with its weights; `weights`: the student begins as the
    base once did, by `model.weights`."""
