"""What the sections `prune`, `distill` and `quantize` of every task hold; each task adds what is its own."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.params import Name, Positive, Probability, Section


class Taught(Section):
    """How a smaller model learns from another, beside its own settings of training."""

    of: Name = "base"
    """The variant that it is made of. So `distill -> prune` is a pruned variant of a distilled one."""
    teacher: Name | None = None
    """The variant that it learns from: `base`, or another that it is made of over others; null: the one it is made
    of. So `prune -> prune` with `teacher: base` are two rounds with the whole model as teacher."""
    temperature: float = Field(gt=0)
    """What the logits of both are divided by before they are compared."""
    soft_weight: Probability
    """Weight of the other's outputs as targets against the labels."""
    quantization_aware: bool = False
    """Whether its convolutions and linear layers learn with weights and activations rounded to 8 bits, a scale for each
    channel and for the activations of a batch; for models that lose by int8. Tables of words and recurrent layers are
    left in float."""


Pattern = Annotated[str, Field(pattern=r"^(channels|weights|[1-9][0-9]?:[1-9][0-9]?)$")]
"""What leaves together."""


class Prune(Taught):
    """`soft_weight: 0`: what is left is tuned on the labels alone."""

    ratio: float = Field(gt=0, lt=1)
    """Share that is removed of each layer; of `pattern: weights`, of all layers together."""
    pattern: Pattern = "channels"
    """`channels`, or what the task calls so: the network gets smaller and faster. `weights`: the weakest ones, wherever
    they are, become zero; `N:M`: all but N of M neighbours, which is 1 - N/M of each layer. Zeros are computed with as
    other numbers are by ONNX Runtime's kernels: nothing gets faster, and the file smaller once it is packed only."""
    scaling: Literal["layer", "none"] | None = None
    """Of `pattern: weights`, before weights of all layers are compared: `layer` counts each among those of its layer
    that are no smaller, `none` takes it as it is, by which layers of small weights lose all. null: `layer` of
    `magnitude`, `none` of `taylor`, which has the unit of the loss in all layers."""
    allocation: Literal["uniform", "measured"] = "uniform"
    """Of channels: the same share of each layer, or more of those whose loss the network feels least, measured one by
    one, and as many multiply-adds in all."""
    importance: Literal["magnitude", "taylor", "bn_scale"]
    """By what the weakest are told: the size of their weights; how much the loss of a batch would change to first order
    without each of them; the scale of the BatchNorm behind them, which leaves layers without one as they are."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.scaling and self.pattern != "weights":
            raise ValueError(f"scaling: `{self.scaling}` is for `pattern: weights`; others compare within a layer")
        if self.pattern == "channels":
            return self
        if self.importance == "bn_scale":
            raise ValueError("importance: bn_scale tells channels apart, not single weights; take magnitude or taylor")
        if self.allocation == "measured":
            raise ValueError("allocation: `measured` is for `pattern: channels`; single weights are compared anyway")
        if ":" in self.pattern:
            kept, group = map(int, self.pattern.split(":"))
            if not kept < group or abs(self.ratio - (1 - kept / group)) > 0.005:
                wanted = f"ratio {1 - kept / group:.4g}" if kept < group else "N smaller than M"
                raise ValueError(f"pattern: found {self.pattern} with ratio {self.ratio}, expected {wanted}")
        return self


class Distill(Taught):
    initial: Literal["teacher", "weights"]
    """`teacher`: layers that the student shares with the variant that it is made of begin with its weights; `weights`:
    the student begins as the base once did, by `model.weights`."""


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
