"""The exponential moving average of a network's weights (Polyak and Juditsky 1992; Tarvainen and Valpola 2017)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """Keeps `mean` an average of `model`, two networks of one architecture: weights, and BatchNorm's statistics, too.

    Their tensors are found once: looking for them costs as much as averaging. So both must be where they stay.
    """

    def __init__(self, mean: nn.Module, model: nn.Module):
        pairs = zip(mean.state_dict().values(), model.state_dict().values(), strict=True)
        # By storage: a tied weight has two names and must be averaged once.
        unique = {one.data_ptr(): (one, other) for one, other in pairs if one.numel()}
        self.averaged = _columns([pair for pair in unique.values() if pair[0].is_floating_point()])
        self.counted = _columns([pair for pair in unique.values() if not pair[0].is_floating_point()])

    def update(self, decay: float) -> None:
        """Take in the model as it is: mean = decay * mean + (1 - decay) * model; whole numbers are copied."""
        means, values = self.averaged
        if means:
            get_ema_multi_avg_fn(decay)(means, values, None)
        for mean, value in zip(*self.counted, strict=True):
            mean.copy_(value)


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    return [one for one, _ in pairs], [other for _, other in pairs]
