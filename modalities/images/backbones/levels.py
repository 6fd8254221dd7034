"""What a predicting layer sees of a backbone: its last map, or several maps side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modalities.images.params.backbones import Levels


class Seen(nn.Module):
    """The last of a backbone's maps; or all of them, each averaged to the size of the last.

    Maps from unlike depths have unlike sizes of numbers, so each channel is brought to mean 0 and variance 1: without
    that the largest decide what is learnt, and take all steps of an int8 scale. channels: of each map, finest first.
    """

    def __init__(self, channels: Sequence[int], levels: Levels):
        super().__init__()
        self.several = levels != "last"
        self.width = sum(channels) if self.several else channels[-1]
        """Channels of what is seen."""
        if self.several:
            self.norm = nn.BatchNorm2d(self.width, affine=False)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """maps: (B, C_i, h_i, w_i). Returns: (B, `width`, h, w), h and w of the last."""
        if not self.several:
            return maps[-1]
        size = maps[-1].shape[2:]
        seen = torch.cat([F.adaptive_avg_pool2d(each, size) for each in maps[:-1]] + [maps[-1]], 1)
        if self.training and seen.numel() == self.width:  # one picture, one place: nothing to tell a variance by
            return F.batch_norm(seen, self.norm.running_mean, self.norm.running_var, eps=self.norm.eps)
        out: Tensor = self.norm(seen)
        return out
