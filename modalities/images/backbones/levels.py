"""What a predicting layer sees of a backbone: its last map, or several maps side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from modalities.images.params.backbones import Levels


def width(channels: Sequence[int], levels: Levels) -> int:
    """Channels of `features`. channels: of each level."""
    return channels[-1] if levels == "last" else sum(channels)


def features(maps: Sequence[Tensor], levels: Levels) -> Tensor:
    """maps: (B, C_i, h_i, w_i), finest first.

    Returns: the last one, or (B, sum of C_i, h, w), in which each is averaged to the size of the last.
    """
    if levels == "last":
        return maps[-1]
    size = maps[-1].shape[2:]
    return torch.cat([F.adaptive_avg_pool2d(level, size) for level in maps[:-1]] + [maps[-1]], 1)
