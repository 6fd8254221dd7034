"""Cross-entropy of teacher-forced subwords.

Shapes: `N` target subwords of a batch that are not padding, `V` vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from compression.networks.distillation import divergence
from modalities.text.inputs.tokenizer import PAD


def teacher_forced(model: Any, batch: dict[str, Tensor], share: float = 1.0) -> tuple[Tensor, Tensor]:
    """Logits [N, V] and the subwords [N] they should give; padding is left out before the costly projection.

    share: probability that a batch in training is teacher-forced; in another the network reads what it says itself.
    """
    free = share < 1 and model.training and float(torch.rand(())) >= share
    hidden = (model.run_free if free else model)(batch["source"], batch["target"][:, :-1])
    gold = batch["target"][:, 1:]
    real = gold != PAD
    return model.project(hidden[real]), gold[real]


def hard_targets(logits: Tensor, gold: Tensor, smoothing: float) -> dict[str, Tensor]:
    """`loss`: cross-entropy against (1 - smoothing) one-hot + smoothing uniform; `nll`: against one-hot alone.

    logits: [N, V], gold: int64 [N]. Both are means, in nats a subword (Szegedy et al. 2016, section 7).
    """
    loss, nll = SmoothedCrossEntropy.apply(logits.float(), gold, smoothing)
    return {"loss": loss, "nll": nll.detach()}


def consistent(model: Any, batch: dict[str, Tensor], smoothing: float, weight: float) -> dict[str, Tensor]:
    """R-Drop (Wu et al. 2021, https://arxiv.org/abs/2106.14448, equation 4): two passes in which dropout takes other
    units away; the mean of their `hard_targets`, and `weight` times half of how far their distributions are `apart`.

    `apart` is the mean of the Kullback-Leibler divergences either way, nats a subword. The paper's loss is twice this.
    """
    (one, gold), (two, _) = (teacher_forced(model, batch) for _ in range(2))
    first, second = (hard_targets(logits, gold, smoothing) for logits in (one, two))
    apart = (divergence(one, two, 1.0) + divergence(two, one, 1.0)) / 2
    loss = (first["loss"] + second["loss"]) / 2 + weight / 2 * apart
    return {"loss": loss, "nll": (first["nll"] + second["nll"]) / 2, "apart": apart.detach()}


class SmoothedCrossEntropy(torch.autograd.Function):
    """Forms the gradient, softmax - targets, in the forward pass: a third of the time of torch's on a CPU."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, gold: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        count, vocabulary = logits.shape
        gradient = torch.softmax(logits, -1)
        chosen = gold[:, None]
        log_chosen = gradient.gather(1, chosen).clamp_min(torch.finfo(logits.dtype).tiny).log()
        log_z = logits.gather(1, chosen) - log_chosen
        nll = -log_chosen.mean()
        uniform = (log_z - logits.mean(-1, keepdim=True)).mean()
        gradient.sub_(smoothing / vocabulary).scatter_add_(1, chosen, torch.full_like(log_chosen, smoothing - 1))
        ctx.save_for_backward(gradient)
        ctx.count = count
        return (1 - smoothing) * nll + smoothing * uniform, nll

    @staticmethod
    def backward(ctx: Any, outer: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * (outer / ctx.count), None, None
