"""What the sections `prune`, `distill` and `quantize` of every task hold; each task adds what is its own."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from core.params import Name, Positive, Probability, Section


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
    importance: Literal["magnitude", "taylor", "bn_scale"]
    """By what the weakest are told: the size of their weights; how much the loss of a batch would change to first order
    without each of them; the scale of the BatchNorm behind them, which leaves layers without one as they are."""


class Distill(Taught):
    initial: Literal["teacher", "weights"]
    """`teacher`: layers that the student shares with its teacher begin with its weights; `weights`: the student begins
    as the base once did, by `model.weights`."""


class Quantize(Section):
    calibration: Positive
    """Train samples from which ranges of activations are taken."""
    weight_bits: Literal[7, 8]
    """7: for processors without instructions for 8-bit products, whose sums saturate (`python -m ops.doctor`)."""
    rescue: float | None = Field(ge=0)
    """Loss of the task's metric on the validation split above which int8 is made in other ways, and at last with the
    layers that lose most in float; null: it stays as it is."""
    max_loss: float = Field(ge=0)
    """The same loss above which an int8 or fp16 model is refused as collapsed."""

    @model_validator(mode="after")
    def _rescue_comes_first(self) -> Self:
        if self.rescue is not None and self.rescue > self.max_loss:
            raise ValueError(
                f"rescue: found {self.rescue}, expected at most max_loss, {self.max_loss}: above it a model is refused"
            )
        return self
